"""Check files from outside before use: JSON nesting, sizes, links and digests.

A run folder or a repository from someone else may contain anything.
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

# Fields that count modules. A file of weights holds at least one tensor for each module.
_MODULES = re.compile(
    r"(num_|n_|encoder_|decoder_|memory_)?(hidden_|encoder_|decoder_)?(layers?|blocks)"
    r"|num_hidden_groups|inner_group_num|depth|head_members"
)
# The largest models in use have 126 layers, 512 experts, 262,144 tokens and 10 million
# positions.
_LIMITS = (
    (_MODULES, 10_000),
    (re.compile(r".*experts.*"), 10_000),
    (re.compile(r"num_labels"), 100_000),
    (re.compile(r".*(positions?|position_embeddings)"), 100_000_000),
    (re.compile(r".*(size|dim|speakers|concepts|window|tokens|heads)"), 1_000_000_000),
)
_LABEL_MAPS = ("id2label", "label2id")  # their keys are labels, not fields


def parse_json(content: str | bytes, **options: Any) -> Any:
    """Parse JSON as `json.loads` does, with a bound on nesting.

    Args:
        content: The document.
        options: Those of `json.loads`.

    Raises:
        EmoNetError: for lists and objects nested deeper than `DEEPEST`.
        ValueError: for invalid JSON, as `json.loads` says it.
    """
    try:
        value = json.loads(content, **options)
    except RecursionError:
        raise _too_deep() from None
    if _brackets(content) > DEEPEST:
        _check_depth(value)
    return value


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read the JSON document of a UTF-8 file.

    Raises:
        EmoNetError: for JSON that is invalid or nested too deeply, naming the file.
        OSError: where the file cannot be read.
    """
    try:
        return parse_json(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise EmoNetError(f"{path}: cannot read JSON ({error}).") from error


def _brackets(content: str | bytes) -> int:
    """An upper bound of the depth, found at the speed of a text search."""
    if isinstance(content, str):
        return content.count("[") + content.count("{")
    return content.count(b"[") + content.count(b"{")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        children = (child for node in level for child in (node.values() if isinstance(node, dict) else node))
        level = [child for child in children if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> EmoNetError:
    return EmoNetError(
        f"its lists and objects are nested deeper than {DEEPEST} levels; such a document is not read"
    )


def check_sizes(config: dict[str, Any]) -> None:
    """Refuse a configuration file with a number larger than any model's.

    Args:
        config: The configuration as its file has it.

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
    """Refuse a configuration with more modules than its file of weights has tensors.

    Args:
        config: The configuration as its file has it.
        tensors: How many tensors the file of weights has.
        weights: The file's name, for the message.

    Raises:
        EmoNetError: naming the field.
    """
    for name, value in numbers_in(config):
        if _MODULES.fullmatch(name.rpartition(".")[2]) and value > tensors:
            raise EmoNetError(
                f"config.json: {name}={value:,}, but {weights} has {tensors:,} tensors; it is not loaded."
            )


def numbers_in(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a configuration by name, e.g. `text_config.hidden_size`."""
    for name, value in config.items():
        if name in _LABEL_MAPS:
            continue
        if isinstance(value, dict):
            yield from numbers_in(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def refuse_outside_links(folder: str | os.PathLike[str], *, cached: bool = False) -> None:
    """Refuse a folder with a symbolic link out of it, at any depth.

    The folder itself may be a link.

    Args:
        folder: The folder; it may be missing.
        cached: Allow the links of a snapshot in the Hub's cache, which lead to files of
            the same repository (`snapshots/REVISION/NAME` → `blobs/DIGEST`). Read them
            only, never write through them.

    Raises:
        EmoNetError: naming the link and its target.
    """
    root = Path(folder).resolve()
    blobs = root.parent.parent / "blobs" if cached and root.parent.name == "snapshots" else None
    for parent, folders, files in os.walk(root):  # follows no links
        for path in (Path(parent, name) for name in sorted(folders + files)):
            if not path.is_symlink():
                continue
            target = Path(os.path.realpath(path))  # unlike Path.resolve, takes a loop of links
            if not target.is_relative_to(root) and (blobs is None or target.parent != blobs):
                raise EmoNetError(
                    f"{Path(folder) / path.relative_to(root)} is a symbolic link that leads out of the "
                    f"folder, to {target}: replace it with a copy of the file, or delete the link."
                )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
