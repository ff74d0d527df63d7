"""Write the code of a model beside its weights, as flat files for remote-code loaders.

Where emonet is installed, its files are flattened (`checkpoint/flatten.py`). This file
travels, so that a model that was loaded from a repository is saved again with the code it
came with.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers.utils import logging

from ..errors import EmoNetError
from .files import package

logger = logging.get_logger(__name__)

# In a repository all files stand side by side; this code is in checkpoint.py there.
_DEPTH = 2 if __name__.endswith("checkpoint.export") else 1
_PACKAGE = "".join(f"{part}." for part in __name__.split(".")[:-_DEPTH])
_ROOT = Path(__file__).resolve().parents[_DEPTH - 1]
_SPLIT = ("context", "data")  # rooms with a file each for systems and corpora
_MARK = "# Exported by emonet. Saving the model again replaces this file.\n"
# The loaders look for imports line by line too, in functions and docstrings as well.
_IMPORT = re.compile(r"^\s*from\s+\.(\w+)\s+import", re.MULTILINE)
# Version 0.1 left no mark: its files are those that one of these files imports.
_UNMARKED = ("modeling_emonet.py", "modeling_prompted.py", "pipeline_emonet.py")


def source_of(item: Any) -> Path | None:
    """Get the file of a class or function, None where it is not part of this code."""
    file = getattr(sys.modules.get(item.__module__), "__file__", None)
    return Path(file).resolve() if file is not None and item.__module__.startswith(_PACKAGE) else None


class SavedCode:
    """A base before those of transformers, for classes whose code is always saved."""

    @classmethod
    def register_for_auto_class(cls, *arguments: Any, **options: Any) -> None:
        """Have transformers save the code of your own subclass."""
        if source_of(cls) is None:
            parent: Any = super()
            parent.register_for_auto_class(*arguments, **options)


def exported_class(cls: type) -> type:
    """Get the class to name in a repository: `cls`, or its first base in this code."""
    return next(base for base in cls.__mro__ if source_of(base) is not None)


def auto_name(cls: type) -> str:
    """Get the name of a class in `auto_map`, as `prompted.PromptedEmoNet`."""
    file = source_of(cls)
    assert file is not None
    return f"{flat_name(file)}.{cls.__name__}"


def flat_name(file: Path) -> str:
    """Get the name in a repository: `…/layers/heads.py` is in the file `layers`."""
    room, *others = file.relative_to(_ROOT).with_suffix("").parts
    return "_".join([room, *others]) if room in _SPLIT else room


def saved_code(file: str | Path) -> dict[str, str]:
    """Read a file of a repository and those that it imports.

    Returns:
        Content by file name.

    Raises:
        EmoNetError: for an import of a missing file.
    """
    code: dict[str, str] = {}
    waiting = [Path(file).resolve()]
    while waiting:
        path = waiting.pop()
        if path.name in code:
            continue
        try:
            code[path.name] = path.read_text("utf-8").removeprefix(_MARK)
        except OSError as error:
            raise EmoNetError(
                f"{path} is missing, and the model's code imports it: download the repository again."
            ) from error
        waiting += [path.with_name(name) for name in _imported(code[path.name])]
    return code


def write_code(
    folder: str | os.PathLike[str],
    file: str | Path,
    lookups: Mapping[Callable[..., Any], type] | None = None,
) -> None:
    """Write the code of a model into `folder`, and delete other code of an earlier save.

    The user's own files stay; one with the name of a needed file is renamed to `.bak`.

    Args:
        folder: An existing folder.
        file: See `checkpoint/flatten.py`.
        lookups: See `checkpoint/flatten.py`.
    """
    folder = Path(folder)
    for cls in (lookups or {}).values():
        if source_of(cls) is None:
            logger.warning(
                f"The code of {cls.__name__} is not part of emonet and is not saved with the model: "
                "the model does not load without that code."
            )
    code = saved_code(file) if package.flat_code is None else package.flat_code(file, lookups)
    earlier = _earlier_code(folder)
    for name in earlier - set(code):
        (folder / name).unlink()
    for name, text in code.items():
        path = folder / name
        if path.exists() and name not in earlier:
            backup = _backup_path(path)
            path.replace(backup)
            logger.warning(
                f"{path} was not written by emonet and has the name of a file of the model's code: "
                f"renamed to {backup.name}."
            )
        path.unlink(missing_ok=True)  # never write through a link into the Hub's cache
        path.write_text(_MARK + text, "utf-8")


def missing_code(folder: str | os.PathLike[str]) -> list[str]:
    """List the missing files that the saved code in `folder` imports."""
    code = _earlier_code(Path(folder))
    needed = {needed for name in code for needed in _imported(_text(Path(folder, name)))}
    return sorted(name for name in needed if not Path(folder, name).is_file())


def _earlier_code(folder: Path) -> set[str]:
    """Find the code files in `folder` that a save wrote, including version 0.1."""
    marked = {path.name for path in folder.glob("*.py") if _text(path).startswith(_MARK)}
    waiting = [name for name in _UNMARKED if name not in marked]
    unmarked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in marked | unmarked or not (folder / name).is_file():
            continue
        unmarked.add(name)
        waiting += _imported(_text(folder / name))
    return marked | unmarked


def _imported(code: str) -> list[str]:
    return [f"{module}.py" for module in _IMPORT.findall(code)]


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _backup_path(path: Path) -> Path:
    number, backup = 1, path.with_name(f"{path.name}.bak")
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.bak{number}")
    return backup
