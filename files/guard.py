"""Check files from outside before they are used: JSON nesting, sizes, links and digests.

Whoever hands over a run folder or a repository may have written anything into it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import EmoNetError

DEEPEST = 64  # levels of lists and objects; no format of this package has ten

# The widest that are in use have 126 layers, 512 experts, 262,144 tokens and 10 million
# positions. What makes modules one after the other: a file of weights holds a tensor at
# least for each.
_MODULES = re.compile(
    r"(num_|n_|encoder_|decoder_|memory_)?(hidden_|encoder_|decoder_)?(layers?|blocks)|num_hidden_groups|inner_group_num|depth|"
    r"head_members"
)
_LIMITS = (
    (_MODULES, 10_000),
    (re.compile(r".*experts.*"), 10_000),
    (re.compile(r"num_labels"), 100_000),
    (re.compile(r".*(positions?|position_embeddings)"), 100_000_000),
    (re.compile(r".*(size|dim|speakers|concepts|window|tokens|heads)"), 1_000_000_000),
)
_NAMES = ("id2label", "label2id")  # their keys are labels, whatever those are called


def parse_json(content: str | bytes, **options: Any) -> Any:
    """As `json.loads`, with a bound on nesting.

    Args:
        content: The document. options: Of `json.loads`.

    Raises:
        EmoNetError: for lists and objects nested deeper than `DEEPEST`.
        ValueError: for what is no JSON, as `json.loads` says it.
    """
    try:
        value = json.loads(content, **options)
    except RecursionError:
        raise _too_deep() from None
    if _brackets(content) > DEEPEST:
        _check_depth(value)
    return value


def read_json(path: str | os.PathLike[str]) -> Any:
    """The document of a UTF-8 file.

    Raises:
        EmoNetError: for what is no JSON or nested too deeply, naming the file.
        OSError: where the file can't be read.
    """
    try:
        return parse_json(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise EmoNetError(f"{path} is no JSON that can be read ({error}).") from error


def _brackets(content: str | bytes) -> int:
    """At least the depth, and found at the speed of a text search."""
    if isinstance(content, str):
        return content.count("[") + content.count("{")
    return content.count(b"[") + content.count(b"{")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        items = (item for each in level for item in (each.values() if isinstance(each, dict) else each))
        level = [item for item in items if isinstance(item, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> EmoNetError:
    return EmoNetError(
        f"its lists and objects are nested deeper than {DEEPEST} levels; no such document is read"
    )


def check_sizes(config: dict[str, Any]) -> None:
    """Refuse a configuration, as its file has it, with a number that no model has.

    Raises:
        EmoNetError: naming the field.
    """
    for name, value in numbers_in(config):
        limit = next(
            (limit for pattern, limit in _LIMITS if pattern.fullmatch(name.rpartition(".")[2])), None
        )
        if limit is not None and value > limit:
            raise EmoNetError(
                f"config.json: {name}={value:,} is more than any model has ({limit:,}); it is not loaded."
            )


def check_module_counts(config: dict[str, Any], tensors: int, weights: str) -> None:
    """Refuse a configuration that asks for more modules than its file of weights has
    tensors.

    Args:
        weights: The file's name, for the message.

    Raises:
        EmoNetError: naming the field.
    """
    for name, value in numbers_in(config):
        if _MODULES.fullmatch(name.rpartition(".")[2]) and value > tensors:
            raise EmoNetError(
                f"config.json: {name}={value:,}, and {weights} has {tensors:,} tensors; it is not loaded."
            )


def numbers_in(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a configuration with their names, those of nested ones as
    `text_config.hidden_size`.
    """
    for name, value in config.items():
        if name in _NAMES:
            continue
        if isinstance(value, dict):
            yield from numbers_in(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def refuse_outside_links(folder: str | os.PathLike[str], *, cached: bool = False) -> None:
    """Refuse a folder with a symbolic link that leads out of it, at any depth; the folder
    itself may be one.

    Args:
        folder: May be missing; then nothing is in it.
        cached: Let the links of a snapshot in the Hub's cache pass, which lead to the
            files of the same repository (`snapshots/REVISION/NAME` → `blobs/DIGEST`).
            They may be read, never written through.

    Raises:
        EmoNetError: naming the link and where it leads.
    """
    root = Path(folder).resolve()
    blobs = root.parent.parent / "blobs" if cached and root.parent.name == "snapshots" else None
    for place, folders, files in os.walk(root):  # which follows no links
        for path in (Path(place, name) for name in sorted(folders + files)):
            if not path.is_symlink():
                continue
            target = Path(os.path.realpath(path))  # of a loop too, for which Path.resolve has no answer
            if not target.is_relative_to(root) and (blobs is None or target.parent != blobs):
                raise EmoNetError(
                    f"{Path(folder) / path.relative_to(root)} is a symbolic link that leads out of the folder, to {target}: "
                    "put a copy of the file in its place, or delete the link."
                )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
