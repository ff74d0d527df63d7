"""Write labelled rows: JSON lines, CSV, Parquet, XLSX or Label Studio, by file name."""

import io
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from ..annotation.label_studio import ENDING as LABEL_STUDIO
from ..errors import EmoNetError
from ..files.disk import room_on_disk
from ..files.spreadsheet_cells import Cell, csv_lines
from ..files.text import short

if TYPE_CHECKING:
    from .arrow_schema import SchemaFinder

ENDINGS = (".jsonl", ".csv", ".parquet", LABEL_STUDIO, ".xlsx")
# Limits of a sheet, from Microsoft's "Excel specifications and limits".
_SHEET_ROWS, _CELL_CHARACTERS = 1_048_576, 32_767
_EXACT = 10**15  # numbers with more digits are rounded; NaN and infinity are errors
# Control characters, and the underscore of a text that looks like such an escape.
_FOR_EXCEL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ROWS_AT_ONCE = 4096  # a Parquet row group

Row = Mapping[str, Any]


class RowWriter(Protocol):
    """Writes the rows of one file."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write the next rows."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class OutputFormat:
    """The format of an output file, told by its name; `-` and pipes get JSON lines.

    Args:
        output: The name of the file.

    Raises:
        EmoNetError: for an ending that stands for no format.
    """

    def __init__(self, output: str):
        self.path = None if output == "-" else Path(output)
        self.ending = ".jsonl"
        self.is_stream = self.path is None or _is_special(self.path)
        if self.path is not None and not self.is_stream:
            is_tasks = output.lower().endswith(LABEL_STUDIO)
            self.ending = LABEL_STUDIO if is_tasks else self.path.suffix.lower()
            if self.ending not in ENDINGS:
                raise EmoNetError(
                    f"{output}: the ending {self.path.suffix!r} stands for no format; name the output "
                    f"{', '.join(f'*{ending}' for ending in ENDINGS[:-1])} or *{ENDINGS[-1]}."
                )
            if self.path.is_dir():
                raise EmoNetError(f"{output} is a folder; name a file.")
        self.rows = 0
        self.has_source = False  # whether the rows say which labels were given
        if self.ending == ".parquet":
            from .arrow_schema import SchemaFinder

            self.schema = SchemaFinder()

    def columns(self, prefix: str, labels: Sequence[str]) -> list[str]:
        """List the columns of a prediction; a sheet has one for each label's score."""
        source = ["source"] if self.has_source else []
        if self.ending in (".csv", ".xlsx"):
            names = ["label", "score", *(f"score_{label}" for label in labels), *source]
        else:
            names = ["label", "score", "scores", *source]
        return [f"{prefix}{name}" for name in names]

    def check(self, location: str, cells: Row) -> None:
        """Refuse a row of the input that the format can't hold.

        Raises:
            EmoNetError: with location and column.
        """
        self.rows += 1
        if self.ending == ".jsonl":
            return
        for column, value in cells.items():
            where = f"{location}, {column}"
            if isinstance(value, str):
                _check_text(value, where)
            text = _cell(value)
            if self.ending == ".xlsx" and isinstance(text, str) and len(_excel_text(text)) > _CELL_CHARACTERS:
                raise EmoNetError(
                    f"{where}: {len(text):,} characters do not fit a cell of Excel "
                    f"({_CELL_CHARACTERS:,}); write .csv, .jsonl or .parquet."
                )
        if self.ending == ".xlsx" and self.rows >= _SHEET_ROWS:
            raise EmoNetError(
                f"{location}: a sheet of Excel has {_SHEET_ROWS:,} rows; write .csv, .jsonl or .parquet."
            )
        if self.ending == ".parquet":
            self.schema.add(location, cells)

    @contextmanager
    def opened(
        self, stream: IO[str], escape: bool, prefix: str, columns: Sequence[str], labels: Sequence[str]
    ) -> Iterator[RowWriter]:
        """Open the output; a file gets its name when it is complete.

        Args:
            stream: Standard output, for `-`.
            escape: Whether to write other than ASCII characters of JSON as escapes.
            prefix: What the names of prediction columns begin with.
            columns: The columns before those of the prediction.
            labels: The names of the classes.
        """
        if self.path is None:
            yield JsonWriter(stream, escape)
            return
        with room_on_disk(self.path, "run the same command again"):
            if self.is_stream:
                with self.path.open("w", encoding="utf-8", newline="\n") as file:
                    yield JsonWriter(file, escape=False)
                return
            header = [*columns, *self.columns(prefix, labels)]
            writer: RowWriter
            with self.unfinished.open("wb") as raw:
                if self.ending == ".jsonl":
                    writer = JsonWriter(_text(raw), escape=False)
                elif self.ending == ".csv":
                    writer = CsvWriter(_text(raw), header, prefix)
                elif self.ending == ".xlsx":
                    writer = ExcelWriter(raw, header, prefix)
                elif self.ending == LABEL_STUDIO:
                    from .label_studio_rows import LabelStudioWriter

                    writer = LabelStudioWriter(raw, prefix)
                else:
                    writer = ParquetWriter(raw, self.schema, prefix, columns, labels, self.has_source)
                try:
                    yield writer
                finally:
                    writer.close()
            os.replace(self.unfinished, self.path)

    @property
    def unfinished(self) -> Path:
        """The file that is written until the output is complete."""
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.part")


class JsonWriter:
    """Write one JSON object a line."""

    def __init__(self, stream: IO[str], escape: bool):
        self.stream, self.escape = stream, escape

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows, at once for the reader of a pipe."""
        self.stream.write("".join(self._line(row) for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Write what is buffered."""
        self.stream.flush()

    def _line(self, row: Row) -> str:
        line = json.dumps(row, ensure_ascii=self.escape, default=str)
        try:
            line.encode()
        except UnicodeEncodeError:  # half a character, which JSON can hold as an escape only
            line = json.dumps(row, default=str)
        return line + "\n"


class CsvWriter:
    """Write CSV as spreadsheets read it: UTF-8 with a byte order mark, no formulas."""

    def __init__(self, stream: IO[str], header: Sequence[str], prefix: str):
        self.stream, self.header, self.prefix = stream, header, prefix
        self.stream.write("\ufeff" + csv_lines([header]))

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows."""
        self.stream.write(csv_lines(_flat(row, self.header, self.prefix) for row in rows))
        self.stream.flush()

    def close(self) -> None:
        """Write what is buffered."""
        self.stream.flush()


class ExcelWriter:
    """Write the one sheet of an XLSX file; text is never a formula."""

    def __init__(self, file: IO[bytes], header: Sequence[str], prefix: str):
        from openpyxl import Workbook

        self.file, self.header, self.prefix = file, header, prefix
        self.book = Workbook(write_only=True)
        self.sheet: Any = self.book.create_sheet("predictions")
        self._append(header)

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows; openpyxl keeps them in a file of its own until the end."""
        for row in rows:
            self._append(_flat(row, self.header, self.prefix))

    def close(self) -> None:
        """Write the workbook."""
        self.book.save(self.file)

    def _append(self, cells: Sequence[Cell]) -> None:
        from openpyxl.cell import WriteOnlyCell

        row: list[Any] = []
        for cell in cells:
            if isinstance(cell, str):
                text = WriteOnlyCell(self.sheet, value=_excel_text(cell))
                text.data_type = "s"  # openpyxl takes `=…` for a formula, `#N/A` for an error
                row.append(text)
            else:
                row.append(cell if cell is None or abs(cell) < _EXACT else str(cell))
        self.sheet.append(row)


class ParquetWriter:
    """Write row groups of some thousand rows."""

    def __init__(
        self,
        file: IO[bytes],
        schema: "SchemaFinder",
        prefix: str,
        columns: Sequence[str],
        labels: Sequence[str],
        has_source: bool = False,
    ):
        import pyarrow as pa
        import pyarrow.parquet as pq

        from .arrow_schema import prediction_fields

        found = schema.found()
        own = {f"{prefix}row": pa.int64(), "dialogue_id": pa.string(), "turn": pa.int64()}
        fields = [
            found.field(name) if name in found.names else pa.field(name, own.get(name, pa.string()))
            for name in columns
        ]
        self.schema = pa.schema([*fields, *prediction_fields(labels, prefix, has_source)])
        self.writer = pq.ParquetWriter(file, self.schema)
        self.rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows when there are enough for a row group."""
        self.rows.extend(rows)
        while len(self.rows) >= _ROWS_AT_ONCE:
            self._write(self.rows[:_ROWS_AT_ONCE])
            del self.rows[:_ROWS_AT_ONCE]

    def close(self) -> None:
        """Write the last rows and the file's footer."""
        if self.rows:
            self._write(self.rows)
        self.writer.close()

    def _write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa

        self.writer.write_table(pa.Table.from_pylist(list(rows), schema=self.schema))


def check_columns(columns: Sequence[str], own: Sequence[str], prefix: str, remedy: str | None = None) -> None:
    """Refuse input columns with the names of prediction columns.

    Args:
        columns: The columns of the input.
        own: The columns that are added to them.
        prefix: What the names of `own` begin with.
        remedy: How to fix it, where there is no `--prefix`.

    Raises:
        EmoNetError: with a prefix that would do.
    """
    taken = [name for name in own if name in columns]
    if not taken:
        return
    names = [name.removeprefix(prefix) for name in own]
    free = "predicted_"
    while any(f"{free}{name}" in columns for name in names):
        free += "again_" if free == "predicted_" else "_"
    again = f"{free}{taken[0].removeprefix(prefix)}"
    remedy = remedy or f"Rename it, or add --prefix {free} to write {again} and so on beside it."
    raise EmoNetError(f"The input has a column {taken[0]!r}, which the predictions are written to. {remedy}")


def _flat(row: Row, header: Sequence[str], prefix: str) -> list[Cell]:
    """A row as cells, with the scores in columns of their own."""
    scores = {f"{prefix}score_{label}": score for label, score in row[f"{prefix}scores"].items()}
    return [_cell(scores[name] if name in scores else row.get(name)) for name in header]


def _cell(value: Any) -> Cell:
    """A value as a cell: texts and numbers as they are, everything else as text."""
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise EmoNetError(
            f"{where}: {short(text)} holds half a character, which only JSON can write; "
            "correct it, or write .jsonl."
        ) from error


def _excel_text(text: str) -> str:
    """Write characters that XML can't hold as Excel does (ECMA-376 Part 1, 22.9.2.19)."""
    return _FOR_EXCEL.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _text(raw: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(raw, "utf-8", newline="")


def _is_special(path: Path) -> bool:
    """Whether the output is a pipe or a device, which is written to as it is."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
