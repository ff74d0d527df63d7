"""Reading text, CSV and JSON lines so that nothing is lost silently and every error names
file, line and column.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataFormatError
from . import guard
from .spreadsheet_cells import unescaped

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # tab and line breaks are text
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character: cannot be written as UTF-8


def decode(data: bytes, name: str) -> str:
    """Bytes of the file `name` as text, without a byte order mark; DataFormatError names
    line and byte if not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        raise DataFormatError(
            f"{name}, line {line}, byte {column}: not UTF-8; save the file as UTF-8."
        ) from error


def clean(text: str) -> str:
    """`text` with blanks for control characters and U+FFFD for half characters."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def short(value: Any) -> str:
    """A wrong value as a message shows it: a file may hold a book in its place."""
    said = repr(value)
    return said if len(said) <= 80 else f"{said[:80]} …"


def parse_json(content: str, name: str, remedy: str) -> Any:
    """The value of a file that is JSON as a whole; DataFormatError names the place and
    the remedy.
    """
    try:
        return guard.parse_json(content)
    except json.JSONDecodeError as error:
        raise DataFormatError(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}); {remedy}."
        ) from error
    except ValueError as error:  # a number of thousands of digits, thousands of brackets
        raise DataFormatError(f"{name}: JSON that can't be read ({error}); {remedy}.") from error


def read_csv_rows(path: Path, required: Sequence[str | tuple[str, ...]]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file, see [`csv_rows`]."""
    return csv_rows(decode(path.read_bytes(), path.name), path.name, required)


def csv_rows(
    content: str, name: str, required: Sequence[str | tuple[str, ...]]
) -> list[tuple[int, dict[str, str]]]:
    """(first line, row) of each row of a CSV file; every cell is text, also `None` and
    `NA`.

    The separator is the one of `,`, `;` and tab that the header has most of. In a file of
    predictions (`turn`, `label` and `score` say so) the apostrophes that `csv_of` put
    before formulas are taken away again.

    Args:
        required: Columns that must be there; a tuple lists alternative names.

    Raises:
        DataFormatError: for a missing or repeated column, a row with too few or too many
            cells, an open quote.
    """
    # The csv module of Python 3.10 refuses NUL; `clean` takes out what stands in for it.
    content = content.replace("\0", "\x01")
    separator = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    limit = csv.field_size_limit(max(len(content), 1))  # long texts are legal; put back below
    rows, line, header, predicted = [], 1, None, False
    try:
        for cells in reader:
            if header is None:
                header = _header(name, [cell.strip() for cell in cells], required)
                predicted = {"turn", "label", "score"} <= set(header)
            elif cells and len(cells) != len(header):
                where = header[len(cells)] if len(cells) < len(header) else f"{len(header) + 1} (unnamed)"
                raise DataFormatError(
                    f"{name}, line {line}: not as many cells ({len(cells)}) as the header has columns "
                    f"({len(header)}), from column {where} on; put cells that hold {separator!r} in quotes."
                )
            elif cells:
                rows.append(
                    (line, dict(zip(header, map(unescaped, cells) if predicted else cells, strict=True)))
                )
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataFormatError(
            f"{name}, line {line}: not a CSV row ({error}); close every quote and double quotes inside a cell."
        ) from error
    finally:
        csv.field_size_limit(limit)
    if header is None:
        _header(name, [], required)
    return rows


def read_json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file, see [`json_lines`]."""
    return json_lines(decode(path.read_bytes(), path.name), path.name)


def json_lines(content: str, name: str) -> list[tuple[int, dict[str, Any]]]:
    """(line, object) of each line of a JSONL file that is not blank."""
    rows = []
    for line, text in enumerate(content.split("\n"), 1):  # not splitlines: U+2028 may stand in a string
        if not text.strip():
            continue
        try:
            row = guard.parse_json(text)
        except ValueError as error:
            reason = (
                f"{error.msg} at column {error.colno}"
                if isinstance(error, json.JSONDecodeError)
                else str(error)
            )
            raise DataFormatError(
                f"{name}, line {line}: not JSON ({reason}); write one object a line."
            ) from error
        if not isinstance(row, dict):
            raise DataFormatError(f"{name}, line {line}: expected an object, got {type(row).__name__}.")
        rows.append((line, row))
    return rows


def whole_number(path: Path, line: int, row: dict[str, str], column: str) -> int:
    """The number in a cell."""
    try:
        return int(row[column])
    except ValueError as error:
        raise DataFormatError(
            f"{path.name}, line {line}, column {column}: {short(row[column])} is not a whole number."
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
            f"{name}, line 1: column {', '.join(sorted(repeated))} stands twice; rename one of them."
        )
    return header
