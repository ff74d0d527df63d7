"""Find the encoding of a text file: UTF-8, UTF-16, UTF-32 or cp1252.

Files are read in blocks, so that memory does not grow with them.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..errors import DataFormatError

_BLOCK = 1 << 20
_MARKS = (  # UTF-32 first: its little-endian mark begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # bytes without a character in cp1252


def find_encoding(
    open_file: Callable[[], BinaryIO], name: str, *, may_be_cp1252: bool = True
) -> tuple[str, list[str]]:
    """Find the encoding in which a whole file can be decoded.

    Text that is not UTF-8 is taken for cp1252 (Windows, Western European) only where it
    looks like it: no byte that cp1252 lacks, no character of UTF-8 in it, and its special
    characters stand alone or in pairs, as in `café`. Other encodings would be read wrong.

    Args:
        open_file: Opens the file from its start.
        name: The file's name, for the message.
        may_be_cp1252: Whether cp1252 is allowed.

    Returns:
        The name of the codec, and notes on what was decided.

    Raises:
        DataFormatError: naming line and byte, where no encoding fits.
    """
    with open_file() as file:
        codec = _by_first_bytes(file.read(128))
    error = _first_error(open_file, codec)
    if error is None:
        notes = {"utf-8-sig": [], "utf-32": ["read as UTF-32"]}.get(codec, ["read as UTF-16"])
        return codec, notes
    offset, reason = error
    location = _location(open_file, codec, offset)
    if codec != "utf-8-sig":
        raise DataFormatError(
            f"{name}, {location}: not {codec.upper()[:6]} ({reason}), as its first bytes say; it is cut "
            "or damaged. Save it again, as UTF-8."
        )
    if not may_be_cp1252:
        raise DataFormatError(f"{name}, {location}: not UTF-8; save the file as UTF-8.")
    example = _cp1252_example(open_file)
    if example is None:
        raise DataFormatError(
            f"{name}, {location}: not UTF-8 ({reason}), and not cp1252 either; the file is damaged, or in "
            "another encoding. Save it as UTF-8."
        )
    return "cp1252", [
        f"not UTF-8, so read as cp1252 (Windows, Western European), as in {example!r}: if that is wrong, "
        "save the file as UTF-8"
    ]


def _by_first_bytes(start: bytes) -> str:
    """Tell UTF-16 and UTF-32 by their marks, UTF-16 also by the zeros in Latin text."""
    for mark, codec in _MARKS:
        if start.startswith(mark):
            return codec
    low, high = start[0::2], start[1::2]
    if len(start) >= 8:
        if high.count(0) > len(high) // 2 and not low.count(0):
            return "utf-16-le"
        if low.count(0) > len(low) // 2 and not high.count(0):
            return "utf-16-be"
    return "utf-8-sig"


def _blocks(open_file: Callable[[], BinaryIO]) -> Iterator[bytes]:
    with open_file() as file:
        yield from iter(lambda: file.read(_BLOCK), b"")


def _first_error(open_file: Callable[[], BinaryIO], codec: str) -> tuple[int, str] | None:
    """The first byte that cannot be decoded, and why."""
    decoder = codecs.getincrementaldecoder(codec)()
    start = 0
    for block in _with_end(open_file):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return start - pending + error.start, error.reason
        start += len(block)
    return None


def _with_end(open_file: Callable[[], BinaryIO]) -> Iterator[bytes]:
    yield from _blocks(open_file)
    yield b""


def _location(open_file: Callable[[], BinaryIO], codec: str, offset: int) -> str:
    """Name the line and the byte in it that stand at an offset of a file."""
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    line, rest, left = 1, "", offset
    for block in _blocks(open_file):
        text = rest + decoder.decode(block[:left])
        line += text.count("\n")
        rest = text[text.rfind("\n") + 1 :][-_BLOCK:]
        left -= len(block)
        if left <= 0:
            break
    width = codec.removesuffix("-sig").replace("utf-16", "utf-16-le").replace("-le-le", "-le")
    return f"line {line}, byte {len(rest.encode(width, 'surrogatepass')) + 1}"


def _cp1252_example(open_file: Callable[[], BinaryIO]) -> str | None:
    """A word of a file as cp1252 has it; None for a file in another encoding."""
    example, alone, runs, carried = "", 0, 0, b""
    for block in _with_end(open_file):
        data = carried + block
        kept = len(data.rstrip(bytes(range(0x80, 0x100)))) if block else len(data)
        data, carried = data[:kept], data[kept:]
        for match in _HIGH.finditer(data):
            run = match[0]
            if _UNDEFINED.search(run) or _is_utf8(run):
                return None
            runs += len(run)
            alone += len(run) if len(run) < 3 else 0
            example = example or _word(data, match.start(), match.end())
        if len(carried) > _BLOCK:
            return None
    return example if alone * 2 >= runs else None


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _word(data: bytes, start: int, end: int) -> str:
    """The word around some bytes, at most 20 characters on each side."""
    before = re.search(rb"[^\s,;|\"]*\Z", data[max(start - 20, 0) : start])
    after = re.match(rb"[^\s,;|\"]*", data[start : end + 20])
    assert before is not None and after is not None
    return (before[0] + after[0]).decode("cp1252", "replace")
