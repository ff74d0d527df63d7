"""Read a script from an upload event, which holds the file's name and content.

No event names a path on any machine.
"""

import base64
import binascii
from pathlib import PurePosixPath

from ...errors import EmoNetError

ENDINGS = (
    *(".txt", ".md", ".srt", ".vtt", ".ass", ".ssa"),
    *(".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xlsx"),
)


def largest_upload(body: int) -> int:
    """Return the size of the largest file whose event fits into `body` bytes.

    Base64 turns 3 bytes into 4; 2 KiB are left for the rest of the event.
    """
    return max(0, (body - 2048) * 3 // 4)


def read_upload(
    name: object, size: object, content: object, largest: int, endings: tuple[str, ...] = ENDINGS
) -> tuple[str, bytes]:
    """Return name and bytes of an uploaded file.

    Args:
        name: The file's name, as the browser sends it.
        size: Its size in bytes.
        content: Its bytes in base64; None if it could not be read or is too large.
        largest: How many bytes are allowed.
        endings: The endings of allowed files.

    Raises:
        EmoNetError: If the ending is not allowed, the file is too large, or the content
            does not match its size.
    """
    name = PurePosixPath(str(name).replace("\\", "/")).name[-200:]
    if not name.lower().endswith(endings):
        raise EmoNetError(f"{name}: its ending is not one of {', '.join(endings)}.")
    if isinstance(size, int) and size > largest:
        raise EmoNetError(f"{name}: {size} bytes, and {largest} is the limit; cut it into parts.")
    try:
        raw = base64.b64decode(content, validate=True)  # type: ignore[arg-type] # refused below
    except (TypeError, ValueError, binascii.Error) as error:
        raise EmoNetError(f"{name}: it could not be read; choose it once more.") from error
    if len(raw) > largest or len(raw) != size:
        raise EmoNetError(
            f"{name}: {len(raw)} bytes came, of {size}, and {largest} is the limit; choose it once more."
        )
    return name, raw
