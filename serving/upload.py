"""A script out of an upload event, which holds the file's name and content; no path of
any machine is in it.
"""

import base64
import binascii
from pathlib import PurePosixPath
from typing import Any

from ..errors import EmoNetError

ENDINGS = (".txt", ".srt", ".jsonl", ".json", ".csv", ".tsv")


def largest_upload(body: int) -> int:
    """Bytes of the largest file whose event has at most `body` bytes (base64 makes 4 of
    3; the rest is for the event).
    """
    return max(0, (body - 2048) * 3 // 4)


def read_upload(name: Any, size: Any, content: Any, largest: int) -> tuple[str, bytes]:
    """Name and bytes of an uploaded file.

    Args:
        name: As its owner calls it. size: In bytes. content: In base64; None where it
            could not be read or is too large.
        largest: Bytes that are allowed.

    Raises:
        EmoNetError: for another ending, a file that is too large, or content that is no
            such file.
    """
    name = PurePosixPath(str(name).replace("\\", "/")).name[-200:]
    if not name.lower().endswith(ENDINGS):
        raise EmoNetError(f"{name}: its ending is not one of {', '.join(ENDINGS)}.")
    if isinstance(size, int) and size > largest:
        raise EmoNetError(f"{name}: {size} bytes, and {largest} is the limit; cut it into parts.")
    try:
        raw = base64.b64decode(content, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise EmoNetError(f"{name}: it could not be read; choose it once more.") from error
    if len(raw) > largest or len(raw) != size:
        raise EmoNetError(
            f"{name}: {len(raw)} bytes came, of {size}, and {largest} is the limit; choose it once more."
        )
    return name, raw
