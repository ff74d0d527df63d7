"""Read text and JSON lines; errors name file, line and column."""

import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import DataFormatError
from .encodings import find_encoding
from .guard import parse_json as parse_guarded_json

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # tab and line breaks are text
# Bytes of cp1252 that were decoded as Latin-1, as in the first release of MELD: a curly
# quote became U+0092. Unicode has no other use for these characters.
_C1 = re.compile(r"[\x80-\x9f]")
_CP1252 = {
    code: bytes([code]).decode("cp1252", "replace").replace("\ufffd", " ") for code in range(0x80, 0xA0)
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character; UTF-8 has no form of it


def decode(data: bytes, name: str) -> str:
    """Decode UTF-8, or UTF-16 that says so, without a byte order mark.

    Args:
        data: The content.
        name: The file's name, for the message.

    Raises:
        DataFormatError: naming line and byte, for other encodings.
    """
    return _decoded(data, find_encoding(lambda: io.BytesIO(data), name, may_be_cp1252=False)[0])


def decode_any(data: bytes, name: str) -> tuple[str, list[str]]:
    """Decode a text in any encoding of [`find_encoding`], with notes on the encoding.

    Raises:
        DataFormatError: naming line and byte, where no encoding fits.
    """
    codec, notes = find_encoding(lambda: io.BytesIO(data), name)
    return _decoded(data, codec), notes


def _decoded(data: bytes, codec: str) -> str:
    return data.decode(codec).removeprefix("\ufeff")


def clean(text: str) -> str:
    """Replace what is no text.

    C1 characters (U+0080 to U+009F) become the cp1252 characters that they stand for,
    other control characters blanks, and lone surrogates U+FFFD.
    """
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", decode_c1(text)))


def decode_c1(text: str) -> str:
    """Replace C1 characters by the cp1252 characters that they stand for, or blanks."""
    return text.translate(_CP1252) if _C1.search(text) else text


def count_c1(text: str) -> int:
    """Count the C1 characters of a text, which `clean` reads as cp1252."""
    return len(_C1.findall(text))


def c1_note(count: int) -> str:
    """Say that C1 characters were read as cp1252."""
    return f"{count} character{'s' * (count != 1)} U+0080 to U+009F read as cp1252, such as U+0092 as \u2019"


def short(value: Any) -> str:
    """Show a wrong value in a message, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} …"


def parse_json(content: str, name: str, remedy: str) -> Any:
    """Parse a file that is one JSON document.

    Args:
        content: The file's text.
        name: The file's name, for the message.
        remedy: How to fix the file, for the message.

    Raises:
        DataFormatError: naming line and column.
    """
    try:
        return parse_guarded_json(content)
    except json.JSONDecodeError as error:
        raise DataFormatError(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}); {remedy}."
        ) from error
    except ValueError as error:  # a number of thousands of digits, thousands of brackets
        raise DataFormatError(f"{name}: cannot read JSON ({error}); {remedy}.") from error


def read_json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read the objects of a JSONL file, see [`json_lines`]."""
    return json_lines(decode(path.read_bytes(), path.name), path.name)


def json_lines(content: str, name: str) -> list[tuple[int, dict[str, Any]]]:
    """Parse JSONL into (line, object) pairs, without blank lines."""
    return list(json_rows(content.split("\n"), name))  # not splitlines: strings may hold U+2028


def json_rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object) pairs of the lines of JSONL, without blank lines.

    Raises:
        DataFormatError: naming line and column.
    """
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = parse_guarded_json(text)
        except ValueError as error:
            reason = str(error)
            if isinstance(error, json.JSONDecodeError):
                reason = f"{error.msg} at column {error.colno}"
            raise DataFormatError(
                f"{name}, line {line}: not JSON ({reason}); write one object a line."
            ) from error
        if not isinstance(row, dict):
            raise DataFormatError(f"{name}, line {line}: expected an object, got {type(row).__name__}.")
        yield line, row


def whole_number(path: Path, line: int, row: dict[str, str], column: str) -> int:
    """Parse the whole number in a cell."""
    try:
        return int(row[column])
    except ValueError as error:
        raise DataFormatError(
            f"{path.name}, line {line}, column {column}: expected a whole number, got {short(row[column])}."
        ) from error
