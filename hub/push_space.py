"""Push a checkpoint as a Space with the demo page.

The Space holds the package's code, so it needs public packages only.
"""

import re
import tempfile
from importlib.metadata import requires, version
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns
from string import Template

from huggingface_hub import CommitInfo, HfApi, SpaceCardData

from ..constants import PACKAGE_VERSION
from ..errors import EmoNetError
from ..pretrained.models import MODELS
from .commit import commit_files
from .push import check_complete, published_files

_PACKAGE = Path(__file__).parents[1]
_TEMPLATES = Path(__file__).with_name("space")
_DEMO = ("aiohttp", "fastapi", "fastapi-offline", "gradio", "uvicorn")  # the extra `demo`


def push_space(
    model: str, repo_id: str, *, private: bool | None = None, token: str | None = None
) -> CommitInfo:
    """Publish the demo page of a checkpoint as a Space, in one commit.

    Files of an earlier version that this one no longer has are removed.

    Args:
        model: A run folder, which is copied, or a Hub id, which the Space downloads.
        repo_id: The Space; it is created if it does not exist.
        private: Whether a new Space is private.
        token: Used instead of the login or HF_TOKEN; it is not stored.

    Raises:
        EmoNetError: If the folder would not load, or the commit fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_space(model, Path(scratch) / "space")
        api = HfApi(token=token)
        repo_id = api.create_repo(
            repo_id, repo_type="space", space_sdk="gradio", private=private, exist_ok=True
        ).repo_id
        files: dict[str, Path | bytes] = {
            path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        there = api.list_repo_files(repo_id, repo_type="space")
        stale = [name for name in there if name.startswith(("emonet/", "models/")) and name not in files]
        return commit_files(
            api, repo_id, files, f"emonet {PACKAGE_VERSION}: {model}", delete=stale, repo_type="space"
        )


def write_space(model: str, folder: Path) -> Path:
    """Write the files of a Space; `python app.py` in it serves the page on port 7860.

    Args:
        model: A run folder, which is copied, or a Hub id, which the Space downloads.
        folder: The folder to write, which must not exist.

    Raises:
        EmoNetError: If the run folder would not load, or `folder` exists.
    """
    if folder.exists():
        raise EmoNetError(f"{folder} exists already; name a new folder.")
    run = Path(model)
    if not re.fullmatch(r"[\w.-]+", run.resolve().name) or not (
        run.is_dir() or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model)
    ):
        raise EmoNetError(
            f"{model}: neither a run folder, with letters, digits, _, . and - in its name, "
            "nor a Hub id (user/name)."
        )
    if run.is_dir():
        check_complete(run)
    folder.mkdir(parents=True)
    name = run.resolve().name
    if run.is_dir():
        (folder / "models" / name).mkdir(parents=True)
        for file, path in published_files(run).items():
            copyfile(path, folder / "models" / name / file)
    _copy_package(folder / "emonet")
    needed = [line for line in requires("emonet") or () if "extra ==" not in line]
    needed += [f"{package}>={version(package)}" for package in _DEMO]
    (folder / "requirements.txt").write_text("\n".join(needed) + "\n", "utf-8")
    values = {
        "model": f"models/{name}" if run.is_dir() else model,
        "metadata": _metadata(model, run.is_dir()),
        "link": f"`models/{name}`" if run.is_dir() else f"[{model}](https://huggingface.co/{model})",
        "version": PACKAGE_VERSION,
    }
    for template in sorted(_TEMPLATES.iterdir()):
        if template.is_file():
            (folder / template.name).write_text(
                Template(template.read_text("utf-8")).substitute(values), "utf-8"
            )
    return folder


def _copy_package(target: Path) -> None:
    """Copy the package, without the built-in models and the root's other files."""
    target.mkdir()
    for path in _PACKAGE.iterdir():
        if path.is_file() and (path.suffix == ".py" or path.name == "py.typed"):
            copyfile(path, target / path.name)
        elif (path / "__init__.py").is_file():
            copytree(path, target / path.name, ignore=ignore_patterns("__pycache__", *MODELS))


def _metadata(model: str, local: bool) -> str:
    card = SpaceCardData(
        title="Emotions in conversation",
        emoji="🎭",
        colorFrom="blue",
        colorTo="yellow",
        sdk="gradio",
        sdk_version=version("gradio"),
        python_version="3.11",
        app_file="app.py",
        license="apache-2.0",
        models=None if local else [model],
        short_description="The emotion of every turn of a dialogue",
    )
    return card.to_yaml().strip()
