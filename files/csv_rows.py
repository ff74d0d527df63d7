"""Read CSV row by row, in the dialects of Excel and pandas."""

import csv
import io
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..errors import DataFormatError
from .spreadsheet_cells import is_prediction, unescaped
from .text import decode

LONGEST_ROW = 20_000_000  # characters; bounds the memory for a file without line ends
SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?[\s,;|]*', re.IGNORECASE)


class Lines:
    """The lines of a text, none of them longer than `LONGEST_ROW`.

    Attributes:
        name: The file's name, for messages.
        line: The number of the last line.
        characters: How long the lines are since it was set to 0.
    """

    def __init__(self, file: TextIO, name: str):
        self.file, self.name, self.line, self.characters = file, name, 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self.file.readline(LONGEST_ROW + 1)
        if not text:
            raise StopIteration
        self.line += 1
        self.characters += len(text)
        if self.characters > LONGEST_ROW:
            raise DataFormatError(
                f"{self.name}, line {self.line}: a row of more than {LONGEST_ROW:,} characters; check the "
                "line ends, and that every quote is closed."
            )
        return text


class CsvRows:
    """The rows of a CSV text, read as often as needed without keeping them.

    A first line such as `sep=;`, rows and last columns without any cell, and blank lines
    are left out. A column without a name is called `Unnamed: 0`, as pandas does.

    Attributes:
        columns: The columns, from the header.
        notes: What was left out; complete after the rows were read.
        header_line: The line of the header.
    """

    def __init__(
        self, open_text: Callable[[], TextIO], name: str, is_known: Callable[[str], bool] = lambda _: False
    ):
        """Read the header.

        Args:
            open_text: Opens the text from its start, with `newline=""`.
            name: The file's name, for the messages.
            is_known: Whether a column's name is expected, which tells the separator.

        Raises:
            DataFormatError: for a repeated column.
        """
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST_ROW))  # `Lines` has the limit
        self.open_text, self.name, self.notes = open_text, name, list[str]()
        self._is_known = is_known
        with open_text() as file:
            reader = self._reader(file)
            cells = next((cells for cells in self._cells(reader) if not _is_empty(cells)), [])
            self.header_line = reader[1].line if cells else 1
        stripped = [cell.strip(" \t\ufeff") for cell in cells]
        while stripped and not stripped[-1]:
            stripped.pop()
        self.width = len(cells)
        self.columns = named(stripped)
        if self.width > len(self.columns):
            count = self.width - len(self.columns)
            self.notes.append(f"{count} empty column{'s' * (count > 1)} left out")
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise DataFormatError(
                f"{name}, line {self.header_line}: column {', '.join(sorted(repeated))} appears twice; "
                "rename one of them."
            )
        self._written_by_emonet = is_prediction(self.columns)

    def rows(self) -> Generator[tuple[int, dict[str, str]], None, None]:
        """Yield (first line, row) pairs; every cell is text, also `None` and `NA`.

        In a file of predictions, the apostrophes that `csv_of` put before formulas are
        removed.

        Raises:
            DataFormatError: for a row with too few or too many cells, or an open quote.
        """
        empty = headers = 0
        with self.open_text() as file:
            reader = self._reader(file)
            is_header = True
            line = reader[1].line + 1
            for cells in self._cells(reader):
                if _is_empty(cells):
                    empty += bool(cells) and not is_header
                elif is_header:
                    is_header = False
                elif [cell.strip(" \t\ufeff") for cell in cells[: len(self.columns)]] == self.columns:
                    headers += 1  # of a file below another one
                else:
                    yield line, self._row(line, cells, reader[0].dialect.delimiter)
                line = reader[1].line + 1
        if empty and not any("empty row" in note for note in self.notes):
            self.notes.append(f"{empty} empty row{'s' * (empty > 1)} left out")
        if headers and not any("repeated header" in note for note in self.notes):
            self.notes.append(f"{headers} repeated header{'s' * (headers > 1)} left out")

    def _row(self, line: int, cells: list[str], separator: str) -> dict[str, str]:
        columns = self.columns
        if len(cells) != len(columns):
            extra = [cell for cell in cells[len(columns) :] if cell.strip()]
            if not len(columns) < len(cells) <= self.width or extra:
                column = columns[len(cells)] if len(cells) < len(columns) else f"{len(columns) + 1} (unnamed)"
                raise DataFormatError(
                    f"{self.name}, line {line}: not as many cells ({len(cells)}) as the header has columns "
                    f"({len(columns)}), from column {column} on; quote cells that hold {separator!r}."
                )
            cells = cells[: len(columns)]
        return dict(zip(columns, map(unescaped, cells) if self._written_by_emonet else cells, strict=True))

    def _reader(self, file: TextIO) -> tuple[Any, Lines]:
        """Start the csv module behind blank lines and a line that names the separator."""
        lines = Lines(file, self.name)
        first, separator = "", ""
        for first in lines:
            match = None if separator else _SEPARATOR_LINE.fullmatch(first)
            separator = match[1] if match else separator
            if not match and first.strip(" \t\r\n\ufeff"):
                break
        else:
            first = ""
        lines.line -= bool(first)

        def with_first() -> Iterator[str]:
            if first:
                lines.line += 1
                yield first.removeprefix("\ufeff").replace("\0", "\x01")
            # The csv module of Python 3.10 refuses NUL; `clean` removes U+0001 too.
            yield from (text.replace("\0", "\x01") for text in lines)

        separator = separator or self._separator(first)
        # `speaker, text`: a blank before a quote would make the quote a part of the cell.
        cells = first.rstrip("\r\n").split(separator)[1:]
        spaced = bool(cells) and all(cell.startswith(" ") and cell.strip() for cell in cells)
        rows = csv.reader(with_first(), delimiter=separator, strict=True, skipinitialspace=spaced)
        return rows, lines

    def _separator(self, header: str) -> str:
        """The separator that gives the most known columns, then the most columns."""

        def fit(separator: str) -> tuple[int, int]:
            try:
                cells = next(csv.reader([header], delimiter=separator), [])
            except csv.Error:
                return 0, 0
            return sum(self._is_known(cell.strip()) for cell in cells), len(cells)

        return max(SEPARATORS, key=fit)

    def _cells(self, reader: tuple[Any, Lines]) -> Iterator[list[str]]:
        rows, lines = reader
        line = lines.line + 1
        try:
            for cells in rows:
                lines.characters = 0
                yield cells
                line = lines.line + 1
        except csv.Error as error:
            raise DataFormatError(
                f"{self.name}, line {line}: not a CSV row ({error}); close every quote, double those inside "
                "a cell."
            ) from error


def read_csv_rows(path: Path, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV file, see [`csv_rows`]."""
    return csv_rows(decode(path.read_bytes(), path.name), path.name, required)


def csv_rows(content: str, name: str, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Parse CSV into (first line, row) pairs, see [`CsvRows`].

    Args:
        content: The file's text.
        name: The file's name, for the messages.
        required: Columns that must be present.

    Raises:
        DataFormatError: for a missing or repeated column, a row with too few or too many
            cells, or an open quote.
    """
    table = CsvRows(lambda: io.StringIO(content, newline=""), name, set(required).__contains__)
    missing = [column for column in required if column not in table.columns]
    if missing:
        found = ", ".join(table.columns) or "none"
        raise DataFormatError(
            f"{name}, line {table.header_line}: no column {', '.join(missing)}; the columns are {found}."
        )
    return list(table.rows())


def named(header: Sequence[str]) -> list[str]:
    """Name the columns that have no name as pandas does: `Unnamed: 0`, by position."""
    taken = set(header)
    columns = []
    for index, column in enumerate(header):
        if not column:
            column = f"Unnamed: {index}"
            while column in taken:
                column += ".1"
            taken.add(column)
        columns.append(column)
    return columns


def _is_empty(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)
