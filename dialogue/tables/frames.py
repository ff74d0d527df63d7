"""Read DataFrames of pandas and Datasets with one row for each turn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ...errors import DataFormatError
from ...files.text import clean, short
from .columns import fields_of, id_of, is_no_speaker, turn_number
from .rows import speakers_in, unknown_speakers_note

RESULTS = ("label", "score", "scores")  # the columns that a prediction adds


@dataclass
class Frame:
    """The turns of a table.

    Attributes:
        rows: The rows with all their columns, in order.
        dialogues: The turns of each dialogue, in order: `speaker`, `text`, and
            `known_emotion` where it is known.
        indices: The row of each turn, dialogue by dialogue.
        notes: What was decided.
    """

    rows: list[dict[Any, Any]]
    dialogues: list[list[dict[str, Any]]]
    indices: list[int]
    notes: list[str] = field(default_factory=list)


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame or a Dataset, without importing either."""
    return any(
        (cls.__name__, cls.__module__.partition(".")[0]) in (("DataFrame", "pandas"), ("Dataset", "datasets"))
        for cls in type(value).__mro__
    )


def is_frame_of_turns(value: Any) -> bool:
    """Whether a value is a frame of turns; one of dialogues has a column `turns`."""
    return is_frame(value) and "turns" not in _columns(value)


def rows_of(frame: Any) -> list[dict[Any, Any]]:
    """The rows of a frame, their values as Python has them."""
    if hasattr(frame, "column_names"):
        return list(frame)
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    for row in rows:  # a list in a Parquet file is an array
        row.update({key: value.tolist() for key, value in row.items() if hasattr(value, "tolist")})
    return rows


def read_frame(frame: Any, interleaved: bool = False) -> Frame:
    """Read a table with one row for each turn.

    Rows of the same `dialogue_id` are one dialogue; the rows of a table without that
    column are one. A column `turn` orders the turns, else they stand in order.

    Args:
        frame: A `pandas.DataFrame` or a `datasets.Dataset`.
        interleaved: Whether the rows of a dialogue may stand between those of others.

    Raises:
        DataFormatError: naming the column that is missing or would be overwritten, or the
            row and its column.
    """
    columns = _columns(frame)
    repeated = sorted({str(column) for column in columns if columns.count(column) > 1})
    if repeated:
        raise DataFormatError(f"The table: column {', '.join(repeated)} appears twice; rename one of them.")
    if taken := [name for name in RESULTS if name in columns]:
        raise DataFormatError(
            f"The table: the prediction has the column {' and '.join(taken)} too; rename "
            f"{'it' if len(taken) == 1 else 'them'} in the table."
        )
    by_name = {str(column): column for column in columns}
    fields = {name: by_name[column] for name, column in fields_of(columns, "The table").items()}
    if missing := [name for name in ("speaker", "text") if name not in fields]:
        raise DataFormatError(
            f"The table: no column {' and '.join(missing)}; its columns are "
            f"{', '.join(map(str, columns)) or 'none'}."
        )
    rows = rows_of(frame)
    return _collect(rows, fields, interleaved)


def _columns(frame: Any) -> list[Any]:
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def _collect(rows: Sequence[dict[Any, Any]], fields: Mapping[str, Any], interleaved: bool) -> Frame:
    frame = Frame(list(rows), [], [])
    collected: dict[str, list[int]] = {}
    turns: list[dict[str, Any]] = []
    current: str | None = None
    without_text = 0
    for index, row in enumerate(rows):
        location = f"The table, row {index}"
        key = _dialogue_id(row[fields["dialogue_id"]], location) if "dialogue_id" in fields else "0"
        if key != current and key in collected and not interleaved:
            raise DataFormatError(
                f"{location}: dialogue {key!r} begins again after dialogue {current!r}; give the later one "
                "another dialogue_id, or say interleaved=True if both are one."
            )
        current = key
        without_text += is_missing(row[fields["text"]])
        collected.setdefault(key, []).append(index)
        turns.append(_turn(row, fields, location))
    for key, indices in collected.items():
        in_order = _in_order(indices, [row.get(fields.get("turn")) for row in rows], key)
        frame.indices += in_order
        frame.dialogues.append([turns[index] for index in in_order])
    without_speaker = sum(is_no_speaker(row[fields["speaker"]]) for row in rows)
    if without_speaker:
        frame.notes.append(unknown_speakers_note(without_speaker))
    if without_text:
        frame.notes.append(f"{without_text} row{'s' * (without_text != 1)} without a text")
    return frame


def _turn(row: Mapping[Any, Any], fields: Mapping[str, Any], location: str) -> dict[str, Any]:
    speaker = speakers_in(row[fields["speaker"]], f"{location}, {fields['speaker']}")[0]
    text = row[fields["text"]]
    if is_missing(text):  # pandas reads an empty cell of a CSV file as NaN
        text = ""
    if not isinstance(text, str):
        raise DataFormatError(f"{location}, {fields['text']}: expected a string, got {short(text)}.")
    known = row.get(fields.get("known_emotion"))
    return {
        "speaker": speaker,
        "text": clean(text),
        **({} if is_missing(known) else {"known_emotion": known}),
    }


def _dialogue_id(value: Any, location: str) -> str:
    key = clean(id_of(value) or "").strip()
    if not key:
        raise DataFormatError(
            f"{location}, dialogue_id: {short(value)} is not an id; give every dialogue a name or number."
        )
    return key


def _in_order(indices: list[int], given: list[Any], key: str) -> list[int]:
    """Sort a dialogue's rows by their turn numbers; without numbers, as in the table."""
    if all(is_missing(given[index]) or given[index] == "" for index in indices):
        return indices
    numbered: dict[int, int] = {}
    for index in indices:
        number = turn_number(given[index])
        if number is None:
            raise DataFormatError(
                f"The table, row {index}, turn: {short(given[index])} is not a number; number all turns of "
                f"{key!r}, or none."
            )
        if number in numbered:
            raise DataFormatError(
                f"The table, row {index}: dialogue {key!r} has turn {number} twice (first in row "
                f"{numbered[number]}); number each turn once, or leave the column out."
            )
        numbered[number] = index
    return [numbered[number] for number in sorted(numbered)]


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or the NA and NaT of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and math.isnan(value)
