"""Import the model tests of the installed transformers from its source archive.

They are not in the wheel. pip fetches the archive once, into emonet's cache.
"""

import importlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import transformers

from emonet.files.cache import cache_root

_PACKAGE = "transformers_suite_of_" + transformers.__version__.replace(".", "_")
_FILES = ("test_modeling_common.py", "test_configuration_common.py")
# By version; pip checks other versions against the index alone.
_DIGESTS = {"5.23.0": "19d647a4d5d903a7c644ca5cde2d86efc3dde7d8c687ae7988806ff2205efa71"}
# What the archive leaves out. The names are only inherited from or looked up: EmoNet does
# not generate, and `torch.export` has tests of its own here.
_MISSING = {
    "exporters.test_export": {"ExportTesterMixin": object},
    "generation.test_utils": {"GenerationTesterMixin": type("GenerationTesterMixin", (), {})},
    "utils.test_configuration_utils": {"config_common_kwargs": {}},
}

_PAIR = "its rows of random tokens hold separators, and a row with two texts is refused"
# The tests of the mixin that do not apply, by class (or `*`) and the start of their name.
SKIPS = {
    ("*", "test_model_weights_reload_no_missing_tied_weights"): (
        "it loads a file without a single weight of the configuration, which is refused: config.json could "
        "ask for any amount of memory"
    ),
    ("FrozenHeadsTest", "test_retain_grad"): "a frozen backbone has no gradients",
    ("FrozenHeadsTest", "test_training_gradient_checkpointing"): "a frozen backbone has no gradients",
    ("LlamaTest", "test_model_rope_scaling_from_config"): _PAIR,
    ("PerTurnTest", "test_batching_equivalence"): (
        "it cuts a batch in half, and the sequences of per_turn mode are numbered over the whole batch"
    ),
    (
        "PromptedTest",
        "test_eager_matches_sdpa_inference",
    ): "it sends random tokens, and only prompts are read",
    (
        "*",
        "test_eager_matches_sdpa_inference",
    ): f"{_PAIR}; tests/test_model_interface.py compares real batches",
}


def skip_reason(case: str, test: str) -> str | None:
    """Why a test of the mixin does not apply to a class of `emonet_cases.py`."""
    return next(
        (reason for (name, start), reason in SKIPS.items() if name in ("*", case) and test.startswith(start)),
        None,
    )


def load_suite() -> tuple[ModuleType, ModuleType]:
    """The modules of `ModelTesterMixin` and `ConfigTester`."""
    folder = cache_root() / "transformers_suite"
    if not all((folder / _PACKAGE / name).is_file() for name in _FILES):
        _fetch(folder / _PACKAGE)
    sys.path.insert(0, str(folder))
    try:
        for name, contents in _MISSING.items():
            parent, _, _ = name.partition(".")
            for path in (parent, name):
                module: Any = ModuleType(f"{_PACKAGE}.{path}")
                module.__path__ = []
                sys.modules[module.__name__] = module
            vars(module).update(contents)
        modeling, configuration = (
            importlib.import_module(f"{_PACKAGE}.{name.removesuffix('.py')}") for name in _FILES
        )
    finally:
        sys.path.remove(str(folder))
    return modeling, configuration


def _fetch(package: Path) -> None:
    version = transformers.__version__
    with tempfile.TemporaryDirectory() as scratch:
        requirement = Path(scratch, "requirement.txt")
        digest = f" --hash=sha256:{_DIGESTS[version]}" if version in _DIGESTS else ""
        requirement.write_text(f"transformers=={version}{digest}\n", "utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["--no-binary", ":all:", "--no-deps", "--no-build-isolation", "--dest", scratch]
        subprocess.run([*pip, *options, "-r", str(requirement)], check=True)
        (archive,) = Path(scratch).glob("transformers-*.tar.gz")
        package.mkdir(parents=True, exist_ok=True)
        Path(package, "__init__.py").touch()
        with tarfile.open(archive) as tar:
            for name in _FILES:
                member = tar.extractfile(f"transformers-{version}/tests/{name}")
                assert member is not None
                Path(package, name).write_bytes(member.read())
