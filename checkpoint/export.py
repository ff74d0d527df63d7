"""Export the code of a model or a builder as flat files for remote-code loaders.

transformers copies files that are imported as `from .name import …` and knows no folders:
`context/rgat.py` becomes `context_rgat.py` in a repository. This file travels too, so
that a model that was loaded from a repository is saved again with the code it came with.
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
# Version 0.1 left no mark: its files are those that one of these files imports.
_UNMARKED = ("modeling_emonet.py", "modeling_prompted.py", "pipeline_emonet.py")


def source_of(item: Any) -> Path | None:
    """Get the file of a class or function, None where it is not part of this code."""
    file = getattr(sys.modules.get(item.__module__), "__file__", None)
    return Path(file).resolve() if file is not None and item.__module__.startswith(_PACKAGE) else None


def exported_class(cls: type) -> type:
    """Get the class to name in a repository: `cls`, or its first base in this code."""
    return next(base for base in cls.__mro__ if source_of(base) is not None)


def auto_name(cls: type) -> str:
    """Get the name of a class in `auto_map`, as `prompted_modeling.PromptedEmoNet`."""
    file = source_of(cls)
    assert file is not None
    return f"{_flat_name(file)}.{cls.__name__}"


def flat_code(file: str | Path, lookups: Mapping[Callable[..., Any], type] | None = None) -> dict[str, str]:
    """Flatten a file and everything that it imports from this code.

    Args:
        file: The file to begin with.
        lookups: Functions that import a module by a computed name, with the class of it
            that the checkpoint needs. In the repository the function imports that class.

    Returns:
        Content by file name.

    Raises:
        EmoNetError: for an import of a missing file.
    """
    needed: dict[Path, list[str]] = {}
    for function, cls in (lookups or {}).items():
        home, target = source_of(function), source_of(cls)
        if target is None:
            logger.warning(
                f"The code of {cls.__name__} is not part of emonet and is not saved with the model: "
                "the model does not load without that code."
            )
        elif not _FLAT and home is not None and target != home:
            module = ".".join(target.relative_to(home.parent).with_suffix("").parts)
            needed.setdefault(home, []).append(
                f"\n\ndef {function.__name__}(name: str) -> None:  # of this checkpoint\n"
                f"    from .{module} import {cls.__name__}  # noqa: F401\n"
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
                f"{path} is missing, and the model's code imports it: "
                "install emonet again, or download the repository again."
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
    """Write [`flat_code`] into `folder`, and delete other code of an earlier save.

    The user's own files stay; one with the name of a needed file is renamed to `.bak`.

    Args:
        folder: An existing folder.
        file: See [`flat_code`].
        lookups: See [`flat_code`].
    """
    folder = Path(folder)
    code = flat_code(file, lookups)
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
    needed = {f"{module}.py" for name in code for _, _, module in _IMPORT.findall(_text(Path(folder, name)))}
    return sorted(name for name in needed if not Path(folder, name).is_file())


def _flat_name(file: Path) -> str:
    """Convert `…/context/rgat.py` to `context_rgat`."""
    return "_".join(file.relative_to(_ROOT).with_suffix("").parts)


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
        waiting += [f"{module}.py" for _, _, module in _IMPORT.findall(_text(folder / name))]
    return marked | unmarked


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _backup_path(path: Path) -> Path:
    number, backup = 1, path.with_name(f"{path.name}.bak")
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.bak{number}")
    return backup
