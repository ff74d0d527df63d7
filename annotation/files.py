"""Read the files of annotators, and write their labels for training."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..dialogue.tables.labels import same_labels
from ..dialogue.tables.rows import change_notes, collect_dialogues
from ..dialogue.tables.table import ENDINGS, Table
from ..errors import DataFormatError
from ..files.spreadsheet_cells import Cell, csv_of
from ..files.text import decode, parse_json, short
from . import label_studio
from .dialogues import AnnotatedDialogue, annotators_of

COLUMNS = ("dialogue_id", "turn", "speaker", "text", "emotion", "label", "score")
READABLE = (*ENDINGS, ".json")
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel does not read UTF-8


def read_annotations(raw: bytes, name: str) -> tuple[list[AnnotatedDialogue], list[str]]:
    """Read a file of one or more annotators.

    Args:
        raw: A table with the columns of training data (CSV, JSONL, …), whose labels under
            `emotion` are those of an annotator named like the file; or an export of Label
            Studio.
        name: The file's name.

    Returns:
        The dialogues, and what was left out or decided.

    Raises:
        DataFormatError: for a file that can't be read, or without a label.
    """
    name = Path(name).name
    if name.lower().endswith(".json"):
        document = parse_json(decode(raw, name), name, "export the project again, as JSON")
        if not label_studio.is_tasks(document):
            raise DataFormatError(
                f"{name}: not an export of Label Studio (JSON); give that, or a table ({', '.join(ENDINGS)})."
            )
        dialogues, notes = label_studio.dialogues_of(document, name)
    else:
        dialogues, notes = _read_table(raw, name)
    if not any(label for dialogue in dialogues for labels in dialogue.labels.values() for label in labels):
        raise DataFormatError(f"{name}: no turn has a label; write it into the column 'emotion'.")
    return dialogues, notes


def _read_table(raw: bytes, name: str) -> tuple[list[AnnotatedDialogue], list[str]]:
    table = Table(Path(name), raw)
    if table.columns and "emotion" not in table.fields and "turns" not in table.columns:
        raise DataFormatError(
            f"{name}: no column 'emotion' with an annotator's labels; its columns are "
            f"{', '.join(table.columns)}."
        )
    collected, changes = collect_dialogues(table.rows(), name, table.unit, only="0")
    annotator = Path(name).stem
    dialogues = [
        AnnotatedDialogue(
            key,
            [{"speaker": turn.speakers[0], "text": turn.text} for turn in turns],
            {annotator: [turn.emotion for turn in turns]},
        )
        for key, turns in collected.items()
    ]
    return dialogues, [*table.notes, *change_notes(changes)]


def spell_alike(dialogues: Iterable[AnnotatedDialogue]) -> list[str]:
    """Give labels that differ in case only one spelling, and say which."""
    dialogues = list(dialogues)
    counts: dict[str, int] = {}
    for dialogue in dialogues:
        for label in (label for labels in dialogue.labels.values() for label in labels if label):
            counts[label] = counts.get(label, 0) + 1
    spellings = same_labels(counts)
    for dialogue in dialogues:
        for name, labels in dialogue.labels.items():
            dialogue.labels[name] = [label and spellings[label] for label in labels]
    changed = [f"{short(found)} as {short(label)}" for found, label in spellings.items() if found != label]
    return [f"labels that differ in case only are one: {', '.join(changed)}"] if changed else []


def training_rows(
    dialogues: Iterable[AnnotatedDialogue], annotator: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each turn, for `emonet train`.

    Args:
        dialogues: The dialogues.
        annotator: Whose labels to take; by default each turn's most frequent one. A turn
            whose annotators are tied has none.

    Yields:
        The columns `COLUMNS`; `emotion` is None for a turn without a label, `label` and
        `score` are what a model predicted and are not used in training.

    Raises:
        DataFormatError: for an annotator who is not there.
    """
    dialogues = list(dialogues)
    names = annotators_of(dialogues)
    if annotator is not None and annotator not in names:
        raise DataFormatError(f"No annotator {short(annotator)}; there are {', '.join(names) or 'none'}.")
    for dialogue in dialogues:
        for index, turn in enumerate(dialogue.turns):
            if annotator is None:
                label = dialogue.majority(index)
            else:
                label = dialogue.labels[annotator][index] if annotator in dialogue.labels else None
            predicted = dialogue.predictions[index] if dialogue.predictions else {}
            yield {
                "dialogue_id": dialogue.dialogue_id,
                "turn": index,
                **turn,
                "emotion": label,
                "label": predicted.get("label"),
                "score": round(predicted["score"], 6) if predicted else None,
            }


def jsonl_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows of [`training_rows`] as CSV that spreadsheets and emonet read."""
    cells: Iterable[Sequence[Cell]] = ([row[column] for column in COLUMNS] for row in rows)
    return _BYTE_ORDER_MARK + csv_of(COLUMNS, cells)


def label_studio_text(dialogues: Iterable[AnnotatedDialogue], model: str = "emonet") -> str:
    """Write dialogues as tasks of Label Studio."""
    return json.dumps(list(label_studio.tasks_of(dialogues, model)), ensure_ascii=False, indent=1) + "\n"
