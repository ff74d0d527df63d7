"""Write labelled rows as tasks of Label Studio, one for each dialogue."""

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

from ..annotation.dialogues import AnnotatedDialogue
from ..annotation.label_studio import tasks_of
from ..dialogue.tables.columns import dialogue_key, fields_of
from ..dialogue.tables.rows import speakers_in
from ..files.text import clean
from .turn_numbers import TurnNumbers


class LabelStudioWriter:
    """Collect the rows of dialogues, and write all tasks at the end.

    Label Studio reads a file of tasks whole, so memory grows with the number of rows.

    Args:
        file: The file.
        prefix: What the names of prediction columns begin with.
    """

    def __init__(self, file: IO[bytes], prefix: str):
        self.file, self.prefix = file, prefix
        self.dialogues: dict[str, list[Mapping[str, Any]]] = {}

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep the rows."""
        for row in rows:
            fields = self._fields(row)
            self.dialogues.setdefault(dialogue_key(row, fields) or "0", []).append(row)

    def close(self) -> None:
        """Write the tasks."""
        tasks = list(tasks_of(self._dialogue(key, rows) for key, rows in self.dialogues.items()))
        self.file.write((json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())

    def _dialogue(self, key: str, rows: list[Mapping[str, Any]]) -> AnnotatedDialogue:
        """Put the rows into the order of the talk; given labels are annotations."""
        fields = self._fields(rows[0])
        numbers = TurnNumbers(key, fields["turn"], "row")
        for number, row in enumerate(rows, start=1):
            numbers.add(number, row)
        ordered = [rows[index] for index in numbers.order()]
        turns = [
            {
                "speaker": speakers_in(row[fields["speaker"]], key)[0],
                "text": clean(row[fields["text"]]),
            }
            for row in ordered
        ]
        predictions = [{name: row[f"{self.prefix}{name}"] for name in ("label", "score")} for row in ordered]
        given = [
            row[f"{self.prefix}label"] if row.get(f"{self.prefix}source") == "given" else None
            for row in ordered
        ]
        return AnnotatedDialogue(key, turns, {"given": given} if any(given) else {}, predictions)

    def _fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The columns of the fields; `dialogue_id` and `turn` are always there."""
        own = {f"{self.prefix}{name}" for name in ("row", "label", "score", "scores", "source")}
        return {
            "dialogue_id": "dialogue_id",
            "turn": "turn",
            **fields_of(name for name in row if name not in own),
        }
