"""Read tables with one row for each turn: CSV, TSV, JSON lines, Parquet and Excel."""

import io
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

from ...errors import DataFormatError
from ...files.csv_rows import SEPARATORS, CsvRows, Lines
from ...files.encodings import find_encoding
from ...files.text import c1_note, clean, json_rows, short
from ..reading import UNKNOWN, Conversation, Reading
from ..scripts.heads import parse_head, undress
from ..scripts.names import Likeness
from ..stamps import without_leading_stamp
from .columns import (
    FIELDS,
    SPEAKER,
    TEXT,
    Columns,
    dialogue_key,
    fields_of,
    is_column,
    is_no_speaker,
    mapped_fields,
    present,
    renamed,
    turn_number,
)
from .labels import is_no_label
from .rows import collect_dialogues, renamed_rows, speakers_in, unknown_speakers_note

_CSV, _JSON = (".csv", ".tsv", ".tab"), (".jsonl", ".ndjson")
_PARQUET, _EXCEL = (".parquet", ".pq"), (".xlsx", ".xlsm")
ENDINGS = (*_CSV, *_JSON, *_PARQUET, *_EXCEL)
_OPEN = re.compile(r"\{\s*[\"'][^}]*$|\[\s*[\"'\d][^\]]*$")
_EMPHASIS = re.compile(r"(\*{1,3}|__?)([^*_]+)\1")  # a whole cell
_OTHER_FILES = {  # by their first bytes
    b"\xd0\xcf\x11\xe0": "an Office file of the old format (.xls, .doc); save it as .xlsx or plain text",
    b"%PDF": "a PDF; save it as plain text",
    b"\x1f\x8b": "a gzip archive; unpack it",
}


class RowSource(Protocol):
    """A file's rows, read one after the other and as often as needed."""

    columns: list[str]
    notes: list[str]
    header_line: int

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (line or row, row) pairs."""
        ...


class JsonLineRows:
    """The rows of JSON lines.

    Attributes:
        columns: The keys of the first row; later rows may have others.
        notes: Always empty.
        header_line: Always 1.
    """

    header_line = 1

    def __init__(self, open_text: Callable[[], TextIO], name: str):
        self.open_text, self.name, self.notes = open_text, name, list[str]()
        with closing(self.rows()) as rows:
            self.columns = list(next(rows, (1, {}))[1])

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (line, row) pairs.

        Raises:
            DataFormatError: for a line that is no JSON object.
        """
        with self.open_text() as file:
            yield from json_rows(_single(Lines(file, self.name)), self.name)


class JsonDocumentRows:
    """The rows of one JSON document.

    Attributes:
        columns: The keys of the first row; later rows may have others.
        notes: Always empty.
        header_line: Always 1.
    """

    header_line = 1

    def __init__(self, rows: Sequence[Mapping[str, Any]]):
        self._rows, self.columns, self.notes = rows, list(rows[0]), list[str]()

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (row from 1, row) pairs."""
        yield from ((number, dict(row)) for number, row in enumerate(self._rows, 1))


class Table:
    """A file of turns that can be read row by row, as often as needed.

    Attributes:
        path: The file.
        name: The file's name, for messages.
        columns: The columns as they stand in the file; of JSON lines, those of the first.
        fields: The column of each field (`dialogue_id`, `turn`, `speaker`, `text`,
            `emotion`, `known_emotion`) that the file has.
        has_speakers: Whether the rows say who speaks.
        unit: What the number of a row counts: `line` or `row`.
        notes: What was decided, such as the encoding; complete after the rows were read.
    """

    def __init__(
        self,
        path: Path,
        content: bytes | str | Sequence[Mapping[str, Any]] | None = None,
        ending: str | None = None,
        needed: Sequence[str] = ("speaker", "text"),
        columns: Columns | None = None,
    ):
        """Read the header.

        Args:
            path: The file; its name stands in messages.
            content: The file's content, text or rows, where they are in memory.
            ending: The ending that tells the format. Default: that of `path`.
            needed: The fields that must have a column; rows of JSON lines are checked one
                by one.
            columns: The columns of some fields, see [`mapped_fields`].

        Raises:
            DataFormatError: for a file that cannot be read, and for one without a needed
                column.
            ImportError: without the library that reads the format.
        """
        self.path, self.name, self._mapping = path, path.name, columns or {}
        ending = ending or path.suffix.lower()
        self.unit = "row" if ending in (*_PARQUET, *_EXCEL) else "line"
        self.notes: list[str] = []
        if isinstance(content, str):
            text = content
            self._rows: RowSource = self._text_source(ending, lambda: io.StringIO(text, newline=""))
        elif content is not None and not isinstance(content, bytes):
            self.unit, self._rows = "turn", JsonDocumentRows(content)
        else:
            raw = content
            self._rows = self._source(ending, lambda: path.open("rb") if raw is None else io.BytesIO(raw))
        self.notes += self._rows.notes
        self._set_fields(needed)

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (line, row) in the file's order; a row has the file's own columns.

        The values are such as JSON can hold.

        Raises:
            DataFormatError: for rows that cannot be read.
        """
        without_speaker, names = 0, set[str]()
        for line, row in self._rows.rows():
            column = self.fields_in(row).get("speaker")
            if column is not None:
                without_speaker += is_no_speaker(row[column])
                if isinstance(row[column], str):
                    self._refuse_other_form(row[column], names, f"{self.name}, {self.unit} {line}, {column}")
            elif not self.has_speakers and (text := row.get(self.fields.get("text", ""))):
                self._refuse_label(text, f"{self.name}, {self.unit} {line}")
            yield line, row
        notes = [unknown_speakers_note(without_speaker)] if without_speaker else []
        self.notes += [note for note in [*self._rows.notes, *notes] if note not in self.notes]

    @staticmethod
    def _refuse_other_form(speaker: str, names: set[str], location: str) -> None:
        """Refuse a chat or script below a table, whose commas part it into cells."""
        before_colon, colon, _ = speaker.partition(": ")
        stamped = speaker[:1] in "[(0123456789" and without_leading_stamp(speaker) is not None
        is_open = _OPEN.match(speaker) is not None  # JSON, or a time, of which this is the start
        if stamped or is_open or (colon and before_colon in names):
            raise DataFormatError(
                f"{location}: {short(speaker)} may be a name, or begin a line of a chat or script. "
                "Put the chat into a file of its own, or write the name alone into the cell."
            )
        names.add(speaker)

    @staticmethod
    def _refuse_label(text: Any, location: str) -> None:
        """Refuse a text that begins with a diarizer's label, without a speaker column."""
        head = parse_head(*undress(text)) if isinstance(text, str) else None
        if head is not None and head.likeness is Likeness.LABEL and not head.above:
            raise DataFormatError(
                f"{location}: {short(text)} may be what {head.name} says, or a text that begins so; write "
                "the speakers into a column of their own, `speaker`."
            )

    def turn(self, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """Take a row's `speaker` and `text`, cleaned, and its `known_emotion` if any.

        Raises:
            DataFormatError: naming line and column.
        """
        fields = self.fields_in(row)
        turn: dict[str, Any] = {}
        for field in ("speaker", "text"):
            if self._mapping.get(field, "") is None:
                turn[field] = UNKNOWN
                continue
            if field not in fields:
                raise DataFormatError(
                    f"{self.name}, {self.unit} {line}: no {field!r}; its fields are "
                    f"{', '.join(row) or 'none'}."
                )
            value, location = row[fields[field]], f"{self.name}, {self.unit} {line}, {fields[field]}"
            if field == "speaker":
                turn[field] = speakers_in(value, location)[0]
            elif isinstance(value, str):
                turn[field] = clean(value)
            else:
                raise DataFormatError(f"{location}: expected text, found {short(value)}.")
        known = row.get(fields.get("known_emotion", ""))
        return turn if is_no_label(known) else {**turn, "known_emotion": known}

    def dialogue_id(self, line: int, row: Mapping[str, Any]) -> str:
        """The id of a row's dialogue; `0` where the file has no such column.

        Raises:
            DataFormatError: naming line and column, for an empty cell.
        """
        fields = self.fields_in(row)
        column = fields.get("dialogue_id")
        if column is None and "dialogue_id" not in self.fields:
            return "0"
        found = None if column is None else dialogue_key(row, fields)
        if found is None:
            raise DataFormatError(
                f"{self.name}, {self.unit} {line}, {column or 'dialogue_id'}: "
                f"{short(None if column is None else row[column])} is not an id; give every dialogue a name "
                "or number."
            )
        return found

    def turn_number(self, line: int, row: Mapping[str, Any]) -> int | None:
        """The number of a row's turn; None where the file or the row has none.

        Raises:
            DataFormatError: naming line and column, for another value.
        """
        column = self.fields_in(row).get("turn")
        value = None if column is None or "turn" not in self.fields else row[column]
        if value is None or value == "":
            return None
        number = turn_number(value)
        if number is None:
            raise DataFormatError(
                f"{self.name}, {self.unit} {line}, {column}: {short(value)} is not a number; number all "
                "turns, or none."
            )
        return number

    def fields_in(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The column of each field in a row; rows of JSON lines may differ."""
        if isinstance(self._rows, JsonLineRows | JsonDocumentRows) and list(row) != self.columns:
            return mapped_fields(row, present(self._mapping, row), self.name)
        return self.fields

    def _source(self, ending: str, open_file: Callable[[], BinaryIO]) -> RowSource:
        with open_file() as file:
            start = file.read(8)
        for mark, what in _OTHER_FILES.items():
            if start.startswith(mark):
                raise DataFormatError(f"{self.name}: this is {what}.")
        if ending in _PARQUET:
            from .parquet import ParquetRows  # imports pyarrow

            return ParquetRows(open_file, self.name)
        if ending in _EXCEL:
            from .workbooks import WorkbookRows  # imports openpyxl

            return WorkbookRows(open_file, self.name)
        if ending not in (*_CSV, *_JSON):
            raise DataFormatError(f"{self.name}: unknown ending {ending!r}; known are {', '.join(ENDINGS)}.")
        # RFC 8259: JSON is UTF-8.
        codec, notes = find_encoding(open_file, self.name, may_be_cp1252=ending in _CSV)
        self.notes += notes
        newline = "\n" if ending in _JSON else ""
        return self._text_source(ending, lambda: io.TextIOWrapper(open_file(), codec, newline=newline))

    def _text_source(self, ending: str, open_text: Callable[[], TextIO]) -> RowSource:
        if ending in _JSON:
            return JsonLineRows(open_text, self.name)
        return CsvRows(open_text, self.name, is_column)

    def _set_fields(self, needed: Sequence[str]) -> None:
        self.columns = list(self._rows.columns)
        if _are_segments(self.columns) and "speaker" not in self._mapping:
            self._mapping = {**self._mapping, "speaker": None}
            self.notes.append(f"segments of a recogniser without speakers, said by {UNKNOWN}")
        self.has_speakers = self._mapping.get("speaker", "") is not None
        is_json = isinstance(self._rows, JsonLineRows | JsonDocumentRows)
        needed = [field for field in needed if self._mapping.get(field, "") is not None]
        is_nested = "turns" in self.columns  # the columns of its turns are checked with them
        mapping = present(self._mapping, self.columns) if is_json else self._mapping
        self.fields = mapped_fields(self.columns, {} if is_nested else mapping, self.name)
        if not is_json:
            location = f"{self.name}, {self.unit} {self._rows.header_line}"
            _check_fields(self.fields, self.columns, location, needed)
        column = self.fields.get("turn")
        if column is not None and column != "turn":
            with closing(self._rows.rows()) as rows:
                first = next(rows, None)
            if first is None or turn_number(first[1].get(column)) is None:
                del self.fields["turn"]
        if note := renamed({f: column for f, column in self.fields.items() if f not in self._mapping}):
            self.notes.append(note)
        if self.columns and "turns" not in self.columns and "dialogue_id" not in self.fields:
            self.notes.append("no dialogue_id column: one dialogue")


def _check_fields(
    fields: Mapping[str, str], columns: list[str], location: str, needed: Sequence[str]
) -> None:
    """Refuse a table without the columns of turns.

    Raises:
        DataFormatError: naming the missing columns and those that are there.
    """
    shown = {"speaker": " or ".join(SPEAKER), "text": " or ".join(TEXT)}
    missing = [shown.get(field, field) for field in needed if field not in fields]
    if missing:
        found = ", ".join(columns) or "none"
        raise DataFormatError(f"{location}: no column {', '.join(missing)}; the columns are {found}.")


def _are_segments(columns: Iterable[str]) -> bool:
    """Whether these are the columns of Whisper's `.tsv`, which has no speakers."""
    return sorted(column.strip(' "\ufeff').casefold() for column in columns) == ["end", "start", "text"]


def read(text: str, name: str) -> Reading | None:
    """Read CSV; None for a text in another form.

    Raises:
        DataFormatError: naming the line and column.
    """
    if (rows := _markdown_rows(text) or _record_rows(text, name)) is not None:
        return reading_of(Table(Path(name), rows, ".csv"))
    if not name.lower().endswith(_CSV) and not is_csv(text):
        return None
    return reading_of(Table(Path(name), text, ".csv"))


def read_bytes(raw: bytes, name: str) -> Reading | None:
    """Read Excel and Parquet files; None for others.

    Raises:
        DataFormatError: naming the row and column.
    """
    if not name.lower().endswith((*_PARQUET, *_EXCEL)):
        if raw.startswith(b"PK\x03\x04"):  # a workbook on stdin
            return reading_of(Table(Path(name), raw, ".xlsx"))
        if raw.startswith(b"PAR1"):
            return reading_of(Table(Path(name), raw, ".parquet"))
        if not raw.startswith(tuple(_OTHER_FILES)):
            return None
    return reading_of(Table(Path(name), raw))


def reading_of(table: Table) -> Reading:
    """Collect the rows of a table into conversations."""
    rows: Iterable[tuple[int, Mapping[str, Any]]] = table.rows()
    if not table.has_speakers:
        rows = renamed_rows(rows, {"speaker": None}, table.name)
    dialogues, changes = collect_dialogues(rows, table.name, table.unit, only="0")
    if changes["c1"]:
        table.notes.append(c1_note(changes["c1"]))
    conversations = [
        Conversation(key, [turn.as_dict() for turn in turns]) for key, turns in dialogues.items()
    ]
    return Reading("table", conversations, table.notes)


def _markdown_rows(text: str) -> list[dict[str, str]] | None:
    """The rows of a text that is one Markdown table of turns; None for any other text."""
    lines = [line.strip() for line in text.replace("\ufeff", "").splitlines() if line.strip()]
    if len(lines) < 3 or not re.fullmatch(r"\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?", lines[1]):
        return None
    cells = [[_markdown_cell(cell) for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    header, _, *rows = cells
    if not {"speaker", "text"} <= set(_fields(header)) or any(len(row) != len(header) for row in rows):
        return None
    return [dict(zip(header, row, strict=True)) for row in rows]


def _record_rows(text: str, name: str) -> list[dict[str, str]] | None:
    """The rows of a text with a field a line (`Speaker: Ann` above `Text: We won!`)."""
    lines = [line.strip() for line in text.replace("\ufeff", "").splitlines() if line.strip()]
    fields = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    first = fields[0][0] if fields else ""
    if not is_column(first):
        return None
    counts = Counter(key for key, _ in fields)
    keys = {key for key, count in counts.items() if is_column(key) or 1 < count >= counts[first] - 1}
    if not {"speaker", "text"} <= set(_fields(keys)):
        return None
    rows: list[dict[str, str]] = []
    last = first
    for line, (key, value) in zip(lines, fields, strict=True):
        if key == first:
            rows.append({})
        if key in keys and key not in rows[-1]:
            rows[-1][key], last = value, key
        else:  # goes on
            rows[-1][last] += f" {line}"
    for number, row in enumerate(rows, 1):
        if missing := sorted(keys - set(row)):
            raise DataFormatError(
                f"{name}, turn {number}: no line `{missing[0]}: …` as in the others; write the same fields "
                "for every turn, each on a line of its own."
            )
    return rows


def refuse_fields(reading: Reading, name: str) -> None:
    """Refuse a script of which some lines are fields (`Speaker: Ann`), which no one says.

    Raises:
        DataFormatError: naming the fields.
    """
    is_script = reading.form.startswith(("script", "names above"))
    named = [speaker for speaker in reading.speakers if is_script and is_column(speaker)]
    if {"speaker", "text"} <= set(_fields(named)):
        raise DataFormatError(
            f"{name}: {' and '.join(map(repr, named[:2]))} before a colon may be the names of fields, or of "
            "people; write `Name: text`, or put the fields of all turns into a file of their own."
        )


def _markdown_cell(cell: str) -> str:
    """The text of a cell, without the emphasis around a whole one."""
    cell = cell.strip().replace("\\|", "|")
    emphasised = _EMPHASIS.fullmatch(cell)
    return emphasised[2] if emphasised else cell


def is_csv(text: str) -> bool:
    """Whether the first line names CSV columns; a `Name: text` line has no such cells."""
    line = next((line for line in re.split("[\r\n]+", text[:10_000]) if line.strip("\ufeff ")), "")
    if re.fullmatch(r'\ufeff?"?sep=.+', line, re.IGNORECASE):
        return True
    if line.lstrip().startswith("|"):  # a table in Markdown
        return False
    return any(
        _are_segments(cells) or {"speaker", "text"} <= set(_fields(cell.strip(' "\ufeff') for cell in cells))
        for cells in (line.split(separator) for separator in SEPARATORS)
    )


def _fields(cells: Iterable[str]) -> Iterable[str]:
    try:
        return fields_of(cells)
    except DataFormatError:  # two columns fit: a table, whose reader says so
        return FIELDS


def _single(lines: Lines) -> Iterator[str]:
    for text in lines:
        lines.characters = 0
        yield text
