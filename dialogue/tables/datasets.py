"""Read datasets of turns, whose columns may have any names.

A dataset is a `datasets.Dataset` or a `pandas.DataFrame`. A row is a turn, a dialogue
with a list `turns`, or a dialogue with a list for each field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from ...errors import DataFormatError
from ...files.text import short
from ..reading import UNKNOWN
from .columns import Columns, dialogue_key, mapped_fields, renamed
from .frames import is_frame, is_missing, rows_of
from .rows import Dialogue, change_notes, collect_dialogues

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass
class LabelledDialogues:
    """The dialogues of a dataset.

    Attributes:
        splits: The dialogues of each split, in order.
        label_names: Names of the labels in order of their ids, where the dataset has
            them (`ClassLabel`).
        notes: What was decided.
    """

    splits: dict[str, list[Dialogue]]
    label_names: list[str] | None
    notes: list[str]


def read_dataset(
    dataset: Any, columns: Columns | None = None, interleaved: bool = False
) -> LabelledDialogues:
    """Collect the rows of a dataset into dialogues, with labels as names.

    Dialogue ids may be numbered anew in each split.

    Args:
        dataset: A dataset, or a mapping of splits to datasets, with `dialogue_id`,
            `speaker`, `text`, `emotion` and, optionally, `turn`. Labels are names, or ids
            of a `ClassLabel`.
        columns: See [`mapped_fields`].
        interleaved: Whether the rows of a dialogue may stand between those of others.

    Raises:
        DataFormatError: naming the split, row and column.
    """
    splits = _splits_of(dataset)
    label_names: list[str] | None = None
    read: dict[str, list[Dialogue]] = {}
    notes: list[str] = []
    for split, frame in splits.items():
        location = f"{split} split" if len(splits) > 1 or split != "train" else "The dataset"
        source = DatasetRows(frame, split, location, columns, needed=("speaker", "text", "emotion"))
        if read and (label_names or []) != source.labels:
            raise DataFormatError(
                f"{location}, emotion: its ids stand for other labels than those of {next(iter(splits))}; "
                "cast all splits to one ClassLabel."
            )
        label_names = source.labels or None
        rows = enumerate(source.rows())
        collected, changes = collect_dialogues(rows, location, "row", interleaved=interleaved)
        read[split] = [
            Dialogue(key, split, (len(read), index), turns)
            for index, (key, turns) in enumerate(collected.items())
        ]
        guessed = {field: column for field, column in source.fields.items() if field not in (columns or {})}
        found = [*([note] if (note := renamed(guessed)) else []), *change_notes(changes)]
        if source.without_text:
            found.append(f"{source.without_text} turns without a text")
        notes += [f"{location}: {note}" for note in found]
    notes += _check_ids(read)
    return LabelledDialogues(read, label_names, notes)


def _splits_of(dataset: Any) -> dict[str, Any]:
    """Name the splits; a dataset that does not know its split is for training."""
    if is_frame(dataset):
        name = str(getattr(dataset, "split", None)).partition("[")[0].lower()
        return {SPLIT_NAMES.get(name, "train"): dataset}
    if isinstance(dataset, Mapping) and dataset and all(map(is_frame, dataset.values())):
        return {str(name): split for name, split in dataset.items()}
    what = type(dataset).__name__
    if what.startswith("Iterable"):
        raise DataFormatError(f"{what}: a streamed dataset can't be counted; load it without streaming=True.")
    raise DataFormatError(
        f"Expected a datasets.Dataset, a DatasetDict or a pandas.DataFrame, got {what}; read files with "
        'datasets.load_dataset("csv", data_files={"train": FILE, "validation": FILE}).'
    )


class DatasetRows:
    """The rows of one split, with emonet's own fields.

    Attributes:
        fields: The column of each field.
        labels: The names of a `ClassLabel` column in its order; empty for another column.
        order: Where the first turn of a dialogue stands in time, where the rows tell it.
        without_text: How many turns had no text, which was read as empty.

    Args:
        dataset: A `datasets.Dataset` or a `pandas.DataFrame`.
        split: Its split, which names dialogues without an id.
        location: Begins the error messages.
        columns: See [`mapped_fields`].
        needed: The fields that must have a column, besides `dialogue_id`.

    Raises:
        DataFormatError: for missing columns, and an empty dataset.
    """

    def __init__(
        self,
        dataset: Any,
        split: str,
        location: str,
        columns: Columns | None,
        needed: Sequence[str] = ("speaker", "text"),
    ):
        self.dataset, self.split, self.location = dataset, split, location
        self.order: dict[str, int] = {}
        self.without_text = 0
        given = dict(columns or {})
        features = getattr(dataset, "features", None)
        if features is None:  # of pandas
            features = dict.fromkeys(dataset.columns)
        self.is_nested = "turns" in features
        turn_features = _items(features["turns"]) if self.is_nested else features
        if not isinstance(turn_features, Mapping):
            raise DataFormatError(f"{location}, turns: expected a list of turns with speaker and text.")
        if self.is_nested:
            of_row = {field: given.pop(field) for field in ("dialogue_id",) if field in given}
            self.id_column = mapped_fields(features, of_row, location).get("dialogue_id")
            self.fields = mapped_fields(turn_features, given, f"{location}, turns")
        else:
            self.fields = mapped_fields(features, given, location)
            self.id_column = self.fields.get("dialogue_id")
        self.fields.pop("dialogue_id", None)
        self.has_lists = not self.is_nested and _items(features.get(self.fields.get("text"))) is not None
        self._check(turn_features, [field for field in needed if given.get(field, "") is not None])
        label = turn_features.get(self.fields.get("emotion"))
        label = _items(label) if self.has_lists else label
        self.labels: list[str] = list(getattr(label, "names", None) or ())

    def _check(self, features: Mapping[str, Any], needed: Sequence[str]) -> None:
        missing = [field for field in needed if field not in self.fields]
        if self.id_column is None and not (self.is_nested or self.has_lists):
            missing.append("dialogue_id")
        if missing:
            raise DataFormatError(
                f"{self.location}: no column {', '.join(missing)}; its columns are {', '.join(features)}. "
                f"Name them: columns={{{', '.join(f'{field!r}: ...' for field in missing)}}} (--columns "
                f"{','.join(f'{field}=...' for field in missing)}). An empty name for the speaker makes all "
                "speakers unknown."
            )
        if not len(self.dataset):
            raise DataFormatError(f"{self.location}: no rows.")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each turn, or for each dialogue."""
        for number, row in enumerate(rows_of(self.dataset)):
            location = f"{self.location}, row {number}"
            dialogue: str | None = f"{self.split}-{number}"
            if self.id_column is not None and not isinstance(row[self.id_column], list):
                dialogue = dialogue_key(row, {"dialogue_id": self.id_column})
            if self.is_nested or self.has_lists:
                turns = _unzipped(row["turns"] if self.is_nested else self._lists(row, location))
                yield {"dialogue_id": dialogue, "turns": [self._turn(turn, location) for turn in turns]}
            else:
                turns = [row]
                yield {"dialogue_id": dialogue, **self._turn(row, location)}
            if turns and {"utterance_index", "speaker_history_index"} <= set(turns[0]):
                self.order.setdefault(str(dialogue), turns[0]["utterance_index"])

    def _lists(self, row: Mapping[str, Any], location: str) -> dict[str, list[Any]]:
        lists = {name: row[name] for name in self.fields.values() if isinstance(row[name], list)}
        if len({len(values) for values in lists.values()}) > 1:
            listed = ", ".join(f"{name} has {len(values)}" for name, values in lists.items())
            raise DataFormatError(f"{location}: each list needs one value a turn, but {listed}.")
        return lists

    def _turn(self, turn: Mapping[str, Any], location: str) -> dict[str, Any]:
        fields = {field: turn.get(column) for field, column in self.fields.items()}
        everyone = turn.get("speakers")  # of a turn that several say
        if isinstance(everyone, list) and everyone and everyone[0] == fields.get("speaker"):
            fields["speaker"] = everyone
        fields.setdefault("speaker", UNKNOWN)
        if is_missing(fields.get("text")):  # an empty cell of a CSV file
            fields["text"] = ""
            self.without_text += 1
        if "emotion" in fields:
            fields["emotion"] = self._label(fields["emotion"], location)
        return fields

    def _label(self, value: Any, location: str) -> str | None:
        if isinstance(value, str):
            return value
        if is_missing(value):
            return None
        if isinstance(value, Integral) and self.labels:
            index = int(value)
            if -1 <= index < len(self.labels):
                return None if index == -1 else self.labels[index]
            raise DataFormatError(
                f"{location}, emotion: {value} is not the number of a label (0 to {len(self.labels) - 1})."
            )
        raise DataFormatError(
            f"{location}, emotion: {short(value)} is a number without a name. Give the names in the order of "
            f"their numbers: dataset.cast_column({self.fields['emotion']!r}, ClassLabel(names=[...]))."
        )


def _items(feature: Any) -> Any:
    """The feature of a list's items; None for what is no list."""
    return feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)


def _unzipped(turns: Any) -> list[Mapping[str, Any]]:
    """Turns as dictionaries; datasets 3 makes a dictionary of lists of them."""
    if not isinstance(turns, Mapping):
        return list(turns or ())
    return [dict(zip(turns, values, strict=True)) for values in zip(*turns.values(), strict=True)]


def _check_ids(splits: Mapping[str, Sequence[Dialogue]]) -> list[str]:
    """Refuse a dialogue in two splits; ids that are numbered anew are told.

    Raises:
        DataFormatError: for dialogues with the same turns, or with turns that continue
            each other, which a division of single turns makes.
    """
    owners: dict[str, Dialogue] = {}
    repeated = 0
    for split, dialogues in splits.items():
        for dialogue in dialogues:
            other = owners.setdefault(dialogue.dialogue_id, dialogue)
            if other is dialogue:
                continue
            where = f"Dialogue {dialogue.dialogue_id!r} stands in {other.split} and in {split}"
            if [turn.text for turn in other.turns] == [turn.text for turn in dialogue.turns]:
                raise DataFormatError(f"{where} with the same turns: remove it from one of them.")
            numbers = [{str(turn.number) for turn in turns} for turns in (other.turns, dialogue.turns)]
            if "None" not in numbers[0] | numbers[1] and numbers[0].isdisjoint(numbers[1]):
                raise DataFormatError(
                    f"{where} with other turns: divide whole dialogues between the splits, or the model is "
                    "tested on dialogues that it was trained on. For two dialogues, change one id."
                )
            repeated += 1
            dialogue.dialogue_id = f"{split}/{dialogue.dialogue_id}"
    if not repeated:
        return []
    return [f"dialogue ids of one split that name another dialogue in a second one: {repeated}"]
