"""Write the code of a model or a builder as flat files, which loaders of remote code
follow.

transformers copies `from .name import …` from a repository and knows no folders: the
source's `context/rgat.py` is `context_rgat.py` there. This file travels too, so that a
model that was loaded from a repository is saved again with the code it came with.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers.utils import logging

from ..errors import EmoNetError

logger = logging.get_logger(__name__)

# In a repository all files stand side by side, this one included.
_FLAT = Path(__file__).stem != "export"
_PACKAGE = __name__.removesuffix("checkpoint_export" if _FLAT else "checkpoint.export")
_ROOT = Path(__file__).resolve().parents[0 if _FLAT else 1]
_MARK = "# Exported by emonet. Saving the model again replaces this file.\n"
# The loaders look for imports line by line too, in functions and docstrings as well.
_IMPORT = re.compile(r"^(\s*from\s+)(\.+)([\w.]+)(?=\s+import)", re.MULTILINE)
# Version 0.1 left no mark: its files are those that one of these reaches.
_UNMARKED = ("modeling_emonet.py", "modeling_prompted.py", "pipeline_emonet.py")


def source_of(item: Any) -> Path | None:
    """The file of a class or function, None where it is not part of this code."""
    file = getattr(sys.modules.get(item.__module__), "__file__", None)
    return Path(file).resolve() if file is not None and item.__module__.startswith(_PACKAGE) else None


def exported_class(cls: type) -> type:
    """The class to name in a repository: `cls`, or the first of its bases whose code
    travels.
    """
    return next(base for base in cls.__mro__ if source_of(base) is not None)


def auto_name(cls: type) -> str:
    """What `auto_map` calls a class: `prompted_modeling.PromptedEmoNet`."""
    file = source_of(cls)
    assert file is not None
    return f"{_flat_name(file)}.{cls.__name__}"


def flat_code(file: str | Path, lookups: Mapping[Callable[..., Any], type] | None = None) -> dict[str, str]:
    """A file and all that it imports from this code, as flat files.

    Args:
        file: The file to begin with.
        lookups: Functions that import a module by a name that only they know, and the
            class that the checkpoint needs of it. In the repository the function imports
            that class.

    Returns:
        Content by file name.

    Raises:
        EmoNetError: for an import of a file that is not there.
    """
    needed: dict[Path, list[str]] = {}
    for function, cls in (lookups or {}).items():
        home, target = source_of(function), source_of(cls)
        if target is None:
            logger.warning(
                f"The code of {cls.__name__} is not part of emonet, and is not saved with the model: who loads it "
                "without that code gets an error."
            )
        elif not _FLAT and home is not None and target != home:
            needed.setdefault(home, []).append(
                f"\n\ndef {function.__name__}(name: str) -> None:  # of this checkpoint's own\n"
                f"    from .{'.'.join(target.relative_to(home.parent).with_suffix('').parts)} import {cls.__name__}  # noqa: F401\n"
            )
    code: dict[str, str] = {}
    waiting = [Path(file).resolve()]
    while waiting:
        path = waiting.pop()
        name = f"{_flat_name(path)}.py"
        if name in code:
            continue
        try:
            text = "".join([path.read_text("utf-8"), *needed.get(path, ())])
        except OSError as error:
            raise EmoNetError(
                f"{path} is missing, which the model's code imports: install emonet again, or load the repository anew."
            ) from error

        def flatten(match: re.Match[str], folder: Path = path.parent) -> str:
            base = folder.joinpath(*[".."] * (len(match[2]) - 1)).resolve()
            target = base.joinpath(*match[3].split(".")).with_suffix(".py")
            waiting.append(target)
            return f"{match[1]}.{_flat_name(target)}"

        code[name] = text.removeprefix(_MARK)
        code[name] = _IMPORT.sub(flatten, code[name])
    return code


def write_code(
    folder: str | os.PathLike[str],
    file: str | Path,
    lookups: Mapping[Callable[..., Any], type] | None = None,
) -> None:
    """Write [`flat_code`] into `folder`, and delete what an earlier save left there of
    other code.

    A file of the user's own stays; one in the way of a file that is needed is kept beside
    it as `.bak`.
    """
    folder = Path(folder)
    code = flat_code(file, lookups)
    earlier = _earlier_code(folder)
    for name in earlier - set(code):
        (folder / name).unlink()
    for name, text in code.items():
        path = folder / name
        if path.exists() and name not in earlier:
            kept = _free(path)
            path.replace(kept)
            logger.warning(
                f"{path} was not written by emonet and is in the way of the model's code: kept as {kept.name}."
            )
        path.unlink(missing_ok=True)  # a link into the Hub's cache is not written through
        path.write_text(_MARK + text, "utf-8")


def missing_code(folder: str | os.PathLike[str]) -> list[str]:
    """The files that saved code in `folder` imports and that are not there."""
    code = _earlier_code(Path(folder))
    needed = {f"{module}.py" for name in code for _, _, module in _IMPORT.findall(_text(Path(folder, name)))}
    return sorted(name for name in needed if not Path(folder, name).is_file())


def _flat_name(file: Path) -> str:
    """`…/context/rgat.py` → `context_rgat`."""
    return "_".join(file.relative_to(_ROOT).with_suffix("").parts)


def _earlier_code(folder: Path) -> set[str]:
    """The code files in `folder` that a save wrote, those of version 0.1 included."""
    marked = {path.name for path in folder.glob("*.py") if _text(path).startswith(_MARK)}
    waiting = [name for name in _UNMARKED if name not in marked]
    unmarked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in marked | unmarked or not (folder / name).is_file():
            continue
        unmarked.add(name)
        waiting += [f"{module}.py" for _, _, module in _IMPORT.findall(_text(folder / name))]
    return marked | unmarked


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _free(path: Path) -> Path:
    number, free = 1, path.with_name(f"{path.name}.bak")
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.bak{number}")
    return free
