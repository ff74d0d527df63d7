"""Write files of turns for bulk prediction, and read the predictions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emonet.dialogue.reader import read_bytes

WORDS = ["hello there", "great we won", "leave me alone", "", "i hate this", "that is wonderful news"]


def rows_of(dialogues: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows of dialogues with one to seven turns, and a column that is passed through."""
    names = ("Ann", "Bob", "Cat")
    return [
        {
            "dialogue_id": f"d{start + index}",
            "speaker": names[turn % 3],
            "text": WORDS[(index + turn) % 6],
            "line": turn,
        }
        for index in range(dialogues)
        for turn in range(1 + index % 7)
    ]


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: Sequence[dict[str, Any]], group: int = 10) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=group)
    return path


def predicted(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]


def dialogues_of(raw: bytes, name: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Read (dialogue id, turns) of every conversation in a file's content."""
    return [(found.dialogue_id, found.turns) for found in read_bytes(raw, name).conversations]
