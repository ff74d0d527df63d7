"""Flatten the code of a model or a builder: one file a room, for remote-code loaders.

transformers copies files that are imported as `from .name import …` and knows no folders:
`dialogue/` becomes `dialogue.py` in a repository, with the files of the room that the
model uses.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from .bundle import Bundle, Part
from .export import flat_name, source_of

_ROOT = Path(__file__).resolve().parents[1]


def flat_code(file: str | Path, lookups: Mapping[Callable[..., Any], type] | None = None) -> dict[str, str]:
    """Flatten a file of the package and everything that it imports from the package.

    Args:
        file: The file to begin with.
        lookups: Functions that import a module by a computed name, with the class of it
            that the checkpoint needs. In the repository the function imports that class.

    Returns:
        Content by file name, `file` first.

    Raises:
        EmoNetError: for an import of a missing file, and for names that the files of a
            room can't keep in one file.
    """
    return dict(_flat_code(Path(file).resolve(), tuple((lookups or {}).items())))


@lru_cache
def _flat_code(file: Path, lookups: tuple[tuple[Callable[..., Any], type], ...]) -> dict[str, str]:
    parts: dict[str, Part] = {}
    waiting = [".".join(file.relative_to(_ROOT).with_suffix("").parts)]
    while waiting:
        name = waiting.pop()
        if name not in parts:
            local = _local_lookups(name, lookups)
            parts[name] = Part(name, _part(name).text + local) if local else _part(name)
            waiting += [target for _, target in parts[name].imports()]
    files: dict[str, list[Part]] = {}
    for name, part in parts.items():
        files.setdefault(flat_name(_path(name)), []).append(part)
    wanted = {
        (target, alias.name)
        for part in parts.values()
        for node, target in part.imports()
        for alias in node.names
        if flat_name(_path(target)) != flat_name(_path(part.name))
    }
    bundles = [Bundle(name, own, wanted) for name, own in files.items()]
    homes = {part.name: bundle for bundle in bundles for part in bundle.parts}
    return {f"{bundle.name}.py": bundle.code(homes) for bundle in bundles}


def _local_lookups(name: str, lookups: tuple[tuple[Callable[..., Any], type], ...]) -> str:
    """Write the functions of a file that import a class by a computed name again."""
    code = ""
    for function, cls in lookups:
        home, target = source_of(function), source_of(cls)
        if home == _path(name) and target not in (None, home):
            code += (
                f"\n\ndef {function.__name__}(name: str) -> None:  # of this checkpoint\n"
                f"    from .{'.'.join(target.relative_to(home.parent).with_suffix('').parts)} "
                f"import {cls.__name__}  # noqa: F401\n"
            )
    return code


def _path(name: str) -> Path:
    return _ROOT.joinpath(*name.split(".")).with_suffix(".py")


@lru_cache
def _part(name: str) -> Part:
    try:
        return Part(name, _path(name).read_text("utf-8"))
    except OSError as error:
        raise EmoNetError(
            f"{_path(name)} is missing, and the model's code imports it: install emonet again."
        ) from error
