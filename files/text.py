"""Read text, CSV and JSON lines; errors name file, line and column."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataFormatError
from .guard import parse_json as parse_guarded_json
from .spreadsheet_cells import unescaped

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # tab and line breaks are text
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character; UTF-8 has no form of it


def decode(data: bytes, name: str) -> str:
    """Decode UTF-8 without its byte order mark.

    Args:
        data: The content.
        name: The file's name, for the message.

    Raises:
        DataFormatError: naming line and byte, for other encodings.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        raise DataFormatError(
            f"{name}, line {line}, byte {column}: not UTF-8; save the file as UTF-8."
        ) from error


def clean(text: str) -> str:
    """Replace control characters by blanks and lone surrogates by U+FFFD."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


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


def read_csv_rows(path: Path, required: Sequence[str | tuple[str, ...]]) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV file, see [`csv_rows`]."""
    return csv_rows(decode(path.read_bytes(), path.name), path.name, required)


def csv_rows(
    content: str, name: str, required: Sequence[str | tuple[str, ...]]
) -> list[tuple[int, dict[str, str]]]:
    """Parse CSV into (first line, row) pairs; every cell is text, also `None` and `NA`.

    The separator is the most frequent of `,`, `;` and tab in the header. In a file of
    predictions (with the columns `turn`, `label` and `score`), the apostrophes that
    `csv_of` put before formulas are removed.

    Args:
        content: The file's text.
        name: The file's name, for the messages.
        required: Columns that must be present; a tuple lists alternative names.

    Raises:
        DataFormatError: for a missing or repeated column, a row with too few or too many
            cells, or an open quote.
    """
    # The csv module of Python 3.10 refuses NUL; `clean` removes its replacement too.
    content = content.replace("\0", "\x01")
    separator = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    limit = csv.field_size_limit(max(len(content), 1))  # long texts are legal; reset below
    rows, line, header, predicted = [], 1, None, False
    try:
        for cells in reader:
            if header is None:
                header = _header(name, [cell.strip() for cell in cells], required)
                predicted = {"turn", "label", "score"} <= set(header)
            elif cells and len(cells) != len(header):
                column = header[len(cells)] if len(cells) < len(header) else f"{len(header) + 1} (unnamed)"
                raise DataFormatError(
                    f"{name}, line {line}: not as many cells ({len(cells)}) as the header has columns "
                    f"({len(header)}), from column {column} on; quote cells that hold {separator!r}."
                )
            elif cells:
                rows.append(
                    (line, dict(zip(header, map(unescaped, cells) if predicted else cells, strict=True)))
                )
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataFormatError(
            f"{name}, line {line}: not a CSV row ({error}); close every quote, double those inside a cell."
        ) from error
    finally:
        csv.field_size_limit(limit)
    if header is None:
        _header(name, [], required)
    return rows


def read_json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read the objects of a JSONL file, see [`json_lines`]."""
    return json_lines(decode(path.read_bytes(), path.name), path.name)


def json_lines(content: str, name: str) -> list[tuple[int, dict[str, Any]]]:
    """Parse JSONL into (line, object) pairs, without blank lines."""
    rows = []
    for line, text in enumerate(content.split("\n"), 1):  # not splitlines: strings may hold U+2028
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
        rows.append((line, row))
    return rows


def whole_number(path: Path, line: int, row: dict[str, str], column: str) -> int:
    """Parse the whole number in a cell."""
    try:
        return int(row[column])
    except ValueError as error:
        raise DataFormatError(
            f"{path.name}, line {line}, column {column}: expected a whole number, got {short(row[column])}."
        ) from error


def _header(name: str, header: list[str], required: Sequence[str | tuple[str, ...]]) -> list[str]:
    choices = [(names,) if isinstance(names, str) else names for names in required]
    missing = [" or ".join(names) for names in choices if not set(names) & set(header)]
    if missing:
        found = ", ".join(header) or "none"
        raise DataFormatError(f"{name}, line 1: no column {', '.join(missing)}; the columns are {found}.")
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise DataFormatError(
            f"{name}, line 1: column {', '.join(sorted(repeated))} appears twice; rename one of them."
        )
    return header
