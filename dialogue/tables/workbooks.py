"""Read the rows of an Excel workbook (XLSX) one after the other."""

import datetime
import re
import warnings
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, BinaryIO

from ...errors import DataFormatError
from ...files.csv_rows import named
from .columns import fields_of, whole

try:
    import openpyxl
    from openpyxl.utils.escape import unescape
except ImportError:  # where a checkpoint is used without emonet
    openpyxl = None

# Bounds on what a workbook unpacks to; Excel's largest sheet has 1,048,576 rows. The
# shared strings are held in memory, sheets are not.
_LARGEST, _LARGEST_STRINGS, _LARGEST_RATIO = 4 << 30, 512 << 20, 250
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 1_000
_FORMULA = re.compile(rb"<f[ />]")


class WorkbookRows:
    """The rows of the sheet that has the columns of turns.

    The cells of turns are text as Excel would show it without a number format (`7` for
    7.0, `2026-01-31` for a date); those of other columns are text, numbers, or None.

    Attributes:
        columns: The columns, from the first row with a cell.
        notes: What was decided or left out; complete after the rows were read.
        header_line: The row of the header.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], name: str):
        """Find the sheet and read its header.

        Raises:
            DataFormatError: for a file that is no workbook or unpacks to too much, for no
                sheet or several sheets with the columns, and for a repeated column.
            ImportError: without openpyxl.
        """
        if openpyxl is None:
            raise ImportError(f"{name}: Excel files need openpyxl: pip install openpyxl")
        self.open_file, self.name, self.notes = open_file, name, list[str]()
        self._has_formulas = _check_archive(open_file, name)
        with closing(self._workbook()) as book:
            headers = {sheet.title: self._header(sheet) for sheet in book.worksheets}
            hidden = {sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"}
        fitting = [title for title, (_, header) in headers.items() if _has_turns(header, name)]
        fitting = [title for title in fitting if title not in hidden] or fitting
        if len(fitting) > 1:
            raise DataFormatError(
                f"{name}: the sheets {', '.join(map(repr, fitting))} all have columns of turns; keep one of "
                "them, or save each as a file of its own."
            )
        if not fitting and len(headers) > 1:
            found = "; ".join(
                f"{title!r} has {', '.join(filter(None, header)) or 'none'}"
                for title, (_, header) in headers.items()
            )
            raise DataFormatError(
                f"{name}: no sheet has the columns speaker and text in its first row ({found}); name them."
            )
        self.sheet = (fitting or list(headers))[0]
        if len(headers) > 1:
            self.notes.append(f"sheet {self.sheet!r} of {len(headers)}")
        self.header_line, header = headers[self.sheet]
        self.columns = named(header)
        repeated = {column for column in self.columns if self.columns.count(column) > 1}
        if repeated:
            raise DataFormatError(
                f"{name}, row {self.header_line}: column {', '.join(sorted(repeated))} appears twice; rename "
                "one of them."
            )

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (row of the sheet, row) pairs.

        Raises:
            DataFormatError: for a cell with an error, a formula without its value, or a
                cell in a column without a name; and for a damaged sheet.
        """
        of_turns = set(fields_of(self.columns, self.name).values())
        empty, waiting = 0, 0
        for line, values in self._cells():
            if line <= self.header_line:
                continue
            cells = [_cell(value) for value in values]
            if all(cell is None or cell == "" for cell in cells):
                waiting += 1  # Excel keeps formatted empty rows behind the last one
                continue
            empty, waiting = empty + waiting, 0
            row: dict[str, Any] = {}
            for index, cell in enumerate(cells):
                column = self.columns[index] if index < len(self.columns) else None
                if cell in (None, "") and column is None:
                    continue
                location = f"{self.name}, row {line}, column {column or index + 1}"
                if column is None:
                    raise DataFormatError(f"{location}: a cell in a column without a name; name it.")
                if column in of_turns:
                    value = values[index]
                    if isinstance(value, _Formula):
                        raise DataFormatError(
                            f"{location}: the formula {value.text[:40]!r} was saved without its value; open "
                            "the file in Excel and save it, or write the value."
                        )
                    if isinstance(value, _Error):
                        raise DataFormatError(f"{location}: the cell has the error {value.text}; correct it.")
                    cell = _text(cell)
                row[column] = cell
            for column in self.columns[len(cells) :]:
                row[column] = "" if column in of_turns else None
            yield line, row
        if empty and not any("empty row" in note for note in self.notes):
            self.notes.append(f"{empty} empty row{'s' * (empty > 1)} left out")

    def _workbook(self, data_only: bool = True) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and other parts that are not read
            try:
                return openpyxl.load_workbook(self.open_file(), read_only=True, data_only=data_only)
            except Exception as error:  # openpyxl has no error class for damaged parts
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataFormatError:
        reason = " ".join(str(error).split())[:200]
        return DataFormatError(
            f"{self.name}: cannot read the Excel workbook ({reason}); open it in Excel and save it as .xlsx."
        )

    def _cells(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield (row, values), with `_Formula` and `_Error` in place of such cells."""
        with closing(self._workbook()) as book:
            values = self._sheet_rows(book[self.sheet])
            if not self._has_formulas:
                yield from ((line, [_value(cell) for cell in cells]) for line, cells in values)
                return
            with closing(self._workbook(data_only=False)) as formulas:
                for (line, cells), (_, sources) in zip(
                    values, self._sheet_rows(formulas[self.sheet]), strict=True
                ):
                    yield (
                        line,
                        [_value(cell, source) for cell, source in zip(cells, sources, strict=True)],
                    )

    def _sheet_rows(self, sheet: Any) -> Generator[tuple[int, Sequence[Any]], None, None]:
        sheet.reset_dimensions()  # some programs write wrong ones, and rows would be missing
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for line, cells in enumerate(sheet.iter_rows(), 1):
                    if line > _MOST_ROWS or len(cells) > _MOST_COLUMNS:
                        raise DataFormatError(
                            f"{self.name}, sheet {sheet.title!r}, row {line}: more than {_MOST_ROWS:,} rows "
                            f"or {_MOST_COLUMNS:,} columns; delete the cells that hold no turns."
                        )
                    yield line, cells
        except DataFormatError:
            raise
        except Exception as error:
            raise self._damaged(error) from error

    def _header(self, sheet: Any) -> tuple[int, list[str]]:
        if not hasattr(sheet, "reset_dimensions"):
            return 1, []
        with closing(self._sheet_rows(sheet)) as rows:
            for line, cells in rows:
                header = [_text(_cell(_value(cell))).strip() for cell in cells]
                while header and not header[-1]:
                    header.pop()
                if header:
                    return line, header
        return 1, []


class _Formula:
    def __init__(self, text: str):
        self.text = text


class _Error:
    def __init__(self, text: str):
        self.text = text


def _value(cell: Any, source: Any = None) -> Any:
    if cell.value is None and source is not None and source.data_type == "f":
        return _Formula(str(source.value))
    if cell.data_type == "e":
        return _Error(str(cell.value))
    return cell.value


def _cell(value: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(value, (_Formula, _Error)):
        return value.text
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return str(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    number = whole(value)
    return "" if value is None else str(value if number is None else number)


def _has_turns(header: list[str], name: str) -> bool:
    return {"speaker", "text"} <= set(fields_of(header, name))


def _check_archive(open_file: Callable[[], BinaryIO], name: str) -> bool:
    """Check the sizes of a workbook's parts, and tell whether it has formulas.

    Raises:
        DataFormatError: for another file, and for one that unpacks to too much.
    """
    try:
        with open_file() as file, zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if not any(part.filename.endswith("workbook.xml") for part in parts):
                raise DataFormatError(
                    f"{name}: a zip archive, but no Excel workbook; save a table as .xlsx or .csv, and a "
                    "document as plain text."
                )
            for part in parts:
                ratio = part.file_size / max(part.compress_size, 1)
                strings = part.filename.endswith("sharedStrings.xml") and part.file_size > _LARGEST_STRINGS
                if strings or (part.file_size > 10 << 20 and ratio > _LARGEST_RATIO):
                    raise DataFormatError(
                        f"{name}: {part.filename} unpacks to {part.file_size >> 20:,} MB, {ratio:.0f} times "
                        "its size; save the table as .csv."
                    )
            if sum(part.file_size for part in parts) > _LARGEST:
                raise DataFormatError(
                    f"{name}: unpacks to more than {_LARGEST >> 30} GB; save the table as .csv."
                )
            return any(
                _has_formula(archive, part) for part in parts if part.filename.startswith("xl/worksheets/")
            )
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DataFormatError(
            f"{name}: cannot read the Excel workbook ({error}); it is damaged, encrypted, or not .xlsx. Save "
            "it again as .xlsx."
        ) from error


def _has_formula(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    rest = b""
    with archive.open(part) as file:
        while block := file.read(1 << 20):
            if _FORMULA.search(rest + block):
                return True
            rest = block[-2:]
    return False
