"""Write CSV that spreadsheets read as text and numbers, never as formulas.

Source: OWASP, CSV injection.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

Cell = str | int | float | None

_FORMULA = set("=+-@\u2212")  # and their full-width, small and raised forms, which NFKC folds
# Separators that end a cell in other locales, such as the German Excel, and line ends.
_ENDS = re.compile("([;\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029])")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")  # -0.5 runs nothing
_INVISIBLE = {"Cc", "Cf", "Me", "Mn", "Zl", "Zp", "Zs"}  # controls, marks without width, blanks
_FILLERS = set("\u115f\u1160\u2800\u3164\uffa0")  # blanks that Unicode counts as letters


def csv_of(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Write rows as CSV: quoted, escaped texts, plain numbers, empty cells for None."""
    return csv_lines((header, *rows))


def csv_lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Write rows as those of `csv_of`, without a header."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        writer.writerow([_safe(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def _safe(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else escaped(cell)


def escaped(cell: str) -> str:
    """Put an apostrophe before whatever a spreadsheet would run; see `unescaped`."""
    first, *rest = _ENDS.split(cell)
    inside = "".join(f"'{part}" if _is_formula(part) else part for part in rest)
    return f"'{first}{inside}" if _runs(cell) else first + inside


def unescaped(cell: str) -> str:
    """Restore the text that `escaped` was given."""
    first, *rest = _ENDS.split(cell)
    whole = first + "".join(part[1:] if part[:1] == "'" and _is_formula(part[1:]) else part for part in rest)
    return whole[1:] if whole[:1] == "'" and _runs(whole[1:]) else whole


def _runs(cell: str) -> bool:
    """Whether a cell starts a formula or what some programs take for a separator."""
    start = cell.lstrip("'")
    blanks = start[: len(start) - len(_without_blanks(start))]
    return _is_formula(cell) or "\t" in blanks or "\r" in blanks


def _is_formula(text: str) -> bool:
    """Whether a text starts like a formula, after apostrophes and blanks.

    Apostrophes are skipped so that no two texts are escaped to the same one.
    """
    start = _without_blanks(text.lstrip("'"))
    return bool(start) and unicodedata.normalize("NFKC", start[0])[:1] in _FORMULA


def _without_blanks(text: str) -> str:
    for index, character in enumerate(text):
        if unicodedata.category(character) not in _INVISIBLE and character not in _FILLERS:
            return text[index:]
    return ""


def is_prediction(columns: Collection[str]) -> bool:
    """Whether the columns are those of a file that emonet predicted, with any prefix."""
    if {"label", "score", "turn"} <= set(columns):
        return True
    prefixes = (column.removesuffix("row") for column in columns if column.endswith("row"))
    return any(f"{prefix}label" in columns and f"{prefix}score" in columns for prefix in prefixes)
