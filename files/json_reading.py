"""Reading JSON that others wrote: deep nesting, which ends in a RecursionError here or further on, is refused by name."""

import json
import os
from pathlib import Path
from typing import Any

from ..errors import EmoNetError

DEEPEST = 64  # levels of lists and objects; no format of this package has ten


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
