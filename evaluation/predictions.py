"""Read and write prediction files (one JSON row for each turn), and count them."""

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


# What a study keeps of a predicted turn.
STUDY_KEYS = ("dialogue_id", "turn", "speaker", "emotion", "predicted", "scores")


def read_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a `.jsonl` or `.jsonl.gz` file.

    Returns:
        Rows with dialogue_id, turn, emotion (or None) and predicted; often also with
        speaker, text and scores.

    Raises:
        EmoNetError: for a line that is not such a row, or a repeated turn, naming file
            and line.
    """
    path = Path(path)
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, int]] = set()
    for line_number, line in enumerate(_lines(path), 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise EmoNetError(f"{path}, line {line_number}: not JSON ({error}).") from error
        missing = [name for name in _REQUIRED if not isinstance(row, dict) or name not in row]
        if missing:
            raise EmoNetError(
                f"{path}, line {line_number}: no {', '.join(missing)}; "
                "`emonet evaluate --predictions` writes such files."
            )
        if type(row["turn"]) is not int:
            raise EmoNetError(f"{path}, line {line_number}: turn is {row['turn']!r}, not a whole number.")
        for name in ("emotion", "predicted"):
            if not isinstance(row[name], str) and (name, row[name]) != ("emotion", None):
                raise EmoNetError(f"{path}, line {line_number}: {name} is {row[name]!r:.80}, not a label.")
        if turn_key(row) in seen:
            raise EmoNetError(
                f"{path}, line {line_number}: dialogue {row['dialogue_id']!r}, "
                f"turn {row['turn']} is there twice."
            )
        seen.add(turn_key(row))
        rows.append(row)
    if not any(row["emotion"] is not None for row in rows):
        raise EmoNetError(f"{path}: no turn with an annotated emotion.")
    return rows


def write_without_text(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as gzipped JSON lines without the texts.

    A corpus licence may forbid publishing its texts. Equal rows give equal bytes.
    """
    lines = [
        json.dumps({name: value for name, value in row.items() if name != "text"}, ensure_ascii=False)
        for row in rows
    ]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


def turn_key(row: Row) -> tuple[str, int]:
    """(dialogue, turn): the turn of the corpus that a row belongs to."""
    return str(row["dialogue_id"]), row["turn"]


def label_names(rows: Sequence[Row]) -> list[str]:
    """The labels in the order of their ids if rows have scores, else sorted by name."""
    scores = next((row["scores"] for row in rows if row.get("scores")), None)
    if scores:
        return list(scores)
    return sorted(
        {row["predicted"] for row in rows} | {row["emotion"] for row in rows if row["emotion"] is not None}
    )


def label_ids(rows: Sequence[Row], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(annotated, predicted) label ids, (N,) each, of annotated rows.

    Raises:
        EmoNetError: for a label that is not in `labels`.
    """
    ids = {label: index for index, label in enumerate(labels)}
    for row in rows:
        for label in (row["emotion"], row["predicted"]):
            if label not in ids:
                raise EmoNetError(
                    f"Dialogue {row['dialogue_id']!r}, turn {row['turn']}: "
                    f"{label!r} is not one of {', '.join(labels)}."
                )
    return np.array([ids[row["emotion"]] for row in rows]), np.array([ids[row["predicted"]] for row in rows])


def annotated(rows: Iterable[Row]) -> list[Row]:
    """The rows with an annotated emotion, which can be scored."""
    return [row for row in rows if row["emotion"] is not None]


def counts_of(rows: Sequence[Row], labels: Sequence[str]) -> np.ndarray:
    """Confusion counts (D, C, C) of the dialogues with an annotated turn, sorted by id.

    Rows are the annotated labels, columns the predicted ones.
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
