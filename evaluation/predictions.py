"""Prediction files, one JSON row a turn, as `emonet evaluate --predictions` and `emonet
ablate` write them: read and counted.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmoNetError
from ..files.guard import parse_json
from .significance import dialogue_counts

Row = Mapping[str, Any]
_REQUIRED = ("dialogue_id", "turn", "emotion", "predicted")


def read_predictions(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a `.jsonl` or `.jsonl.gz` file: dialogue_id, turn, emotion (or None),
    predicted; often speaker, text, scores.

    Raises:
        EmoNetError: for a line that is no such row, or a turn that is there twice, with
            file and line.
    """
    path = Path(path)
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, int]] = set()
    for number, line in enumerate(_lines(path), 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise EmoNetError(f"{path}, line {number}: not JSON ({error}).") from error
        missing = [name for name in _REQUIRED if not isinstance(row, dict) or name not in row]
        if missing:
            raise EmoNetError(
                f"{path}, line {number}: no {', '.join(missing)}; `emonet evaluate --predictions` writes such files."
            )
        if type(row["turn"]) is not int:
            raise EmoNetError(f"{path}, line {number}: turn is {row['turn']!r}, not a whole number.")
        for name in ("emotion", "predicted"):
            if not isinstance(row[name], str) and (name, row[name]) != ("emotion", None):
                raise EmoNetError(f"{path}, line {number}: {name} is {row[name]!r:.80}, not a label.")
        if turn_key(row) in seen:
            raise EmoNetError(
                f"{path}, line {number}: dialogue {row['dialogue_id']!r}, turn {row['turn']} is there twice."
            )
        seen.add(turn_key(row))
        rows.append(row)
    if not any(row["emotion"] is not None for row in rows):
        raise EmoNetError(f"{path}: no turn with an annotated emotion.")
    return rows


def write_without_text(path: Path, rows: Iterable[Row]) -> None:
    """The rows as gzipped JSON lines without what was said: a corpus's licence may forbid
    to publish its text.

    Equal rows give equal bytes.
    """
    lines = [
        json.dumps({name: value for name, value in row.items() if name != "text"}, ensure_ascii=False)
        for row in rows
    ]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


def turn_key(row: Row) -> tuple[str, int]:
    """(dialogue, turn): which turn of the corpus a row is about."""
    return str(row["dialogue_id"]), row["turn"]


def label_names(rows: Sequence[Row]) -> list[str]:
    """The labels in the order of the model's ids where the rows have scores; else those
    that occur, sorted.
    """
    scores = next((row["scores"] for row in rows if row.get("scores")), None)
    if scores:
        return list(scores)
    return sorted(
        {row["predicted"] for row in rows} | {row["emotion"] for row in rows if row["emotion"] is not None}
    )


def label_ids(rows: Sequence[Row], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(annotated, predicted) label ids (N,) of rows that all have an annotation;
    EmoNetError for another label.
    """
    ids = {label: number for number, label in enumerate(labels)}
    for row in rows:
        for label in (row["emotion"], row["predicted"]):
            if label not in ids:
                raise EmoNetError(
                    f"Dialogue {row['dialogue_id']!r}, turn {row['turn']}: {label!r} is none of {', '.join(labels)}."
                )
    return np.array([ids[row["emotion"]] for row in rows]), np.array([ids[row["predicted"]] for row in rows])


def annotated(rows: Iterable[Row]) -> list[Row]:
    """The rows that can be scored."""
    return [row for row in rows if row["emotion"] is not None]


def counts_of(rows: Sequence[Row], labels: Sequence[str]) -> np.ndarray:
    """Confusion counts (D, C, C) of each dialogue with an annotated turn, rows are
    references, dialogues by sorted id.
    """
    scored = annotated(rows)
    return dialogue_counts(
        *label_ids(scored, labels), [str(row["dialogue_id"]) for row in scored], len(labels)
    )


def _lines(path: Path) -> list[str]:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [line for line in raw.decode("utf-8").split("\n") if line.strip()]
    except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EmoNetError(f"{path}: not a file of JSON lines ({error}).") from error
