"""Read tables with one row for each turn: CSV, TSV and JSON lines."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataFormatError
from ..files.text import csv_rows, decode, json_lines
from .reading import Conversation, Reading
from .rows import SPEAKER, TEXT, collect_dialogues

ENDINGS = (".csv", ".tsv", ".jsonl")
# The names that a column may have, by the field that it holds.
FIELDS = {
    "dialogue_id": ("dialogue_id",),
    "turn": ("turn",),
    "speaker": SPEAKER,
    "text": TEXT,
    "emotion": ("emotion",),
}


class Table:
    """A file of turns that can be read row by row, as often as needed.

    Attributes:
        name: The file's name, for messages.
        columns: The columns as they stand in the file.
        fields: The column of each field (`dialogue_id`, `turn`, `speaker`, `text`,
            `emotion`) that the file has.
        notes: What was decided, such as the encoding.
    """

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        rows = self._read()
        self.columns = list(rows[0][1]) if rows else []
        self.fields = {
            field: column for field, names in FIELDS.items() for column in self.columns if column in names
        }
        self.notes: list[str] = []

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (line, row) in the file's order; a row has the file's own columns."""
        yield from self._read()

    def turn(self, line: int, row: dict[str, Any]) -> dict[str, Any]:
        """Take a row's `speaker` and `text`, checked.

        Raises:
            DataFormatError: naming line and column.
        """
        found = {field: row[self.fields[field]] for field in ("speaker", "text")}
        for field, value in found.items():
            if not isinstance(value, str):
                raise DataFormatError(f"{self.name}, line {line}, {field}: expected text, found {value!r}.")
        return found

    def _read(self) -> list[tuple[int, dict[str, Any]]]:
        text = decode(self.path.read_bytes(), self.name)
        if self.path.suffix.lower() == ".jsonl":
            return json_lines(text, self.name)
        return list(csv_rows(text, self.name, (SPEAKER, TEXT)))


def read(text: str, name: str) -> Reading | None:
    """Read CSV; None for a text in another form.

    Raises:
        DataFormatError: naming the line and column.
    """
    if not name.lower().endswith((".csv", ".tsv")) and not _is_csv(text):
        return None
    dialogues, _ = collect_dialogues(csv_rows(text, name, (SPEAKER, TEXT)), name, only="0")
    conversations = [
        Conversation(key, [{"speaker": turn.speakers[0], "text": turn.text} for turn in turns])
        for key, turns in dialogues.items()
    ]
    return Reading("table", conversations)


def _is_csv(text: str) -> bool:
    """Whether the first line names CSV columns; a `Name: text` line has no such cells."""
    cells = {cell.strip(' \r"') for cell in re.split("[,;\t]", text.partition("\n")[0])}
    return all(cells.intersection(names) for names in (SPEAKER, TEXT))
