"""Turn any Hugging Face dataset into files that the reader of your own data takes."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..dialogue.reading import UNKNOWN
from ..dialogue.tables.columns import Columns, dialogue_key, mapped_fields
from ..errors import DataFormatError
from ..files.cache import cache_root
from ..files.text import short
from .schema import SPLITS

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]+)?")


@dataclass
class Imported:
    """A dataset as files of JSON lines.

    Attributes:
        name: Its name, without the owner.
        files: Split → file. A line is a turn or a dialogue with emonet's own fields.
        labels: The names of a `ClassLabel` column in its order; empty for another column.
        order: The dialogues' order in time over all splits, where the dataset tells it.
    """

    name: str
    files: dict[str, Path]
    labels: list[str]
    order: dict[str, int]


def is_hub_id(name: str) -> bool:
    """Whether a text can be a dataset's id on the Hub, such as `owner/name:config`."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name.partition("/")[0]).is_dir()


def hub_id_of(source: Any) -> str | None:
    """The Hub id of a corpus as it is given to [`load_conversations`], if it has one."""
    if not isinstance(source, str) or Path(source).expanduser().exists() or not is_hub_id(source):
        return None
    return source.partition(":")[0]


def is_dataset_folder(folder: Path) -> bool:
    """Whether `datasets` reads a folder: Parquet files, or what `save_to_disk` wrote."""
    patterns = ("*.parquet", "*/*.parquet")  # at the top, or a folder for each configuration
    return _is_saved(folder) or any(next(folder.glob(pattern), None) for pattern in patterns)


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def load_any(source: str) -> Any:
    """Load a dataset by its Hub id, or from a folder that `datasets` reads.

    Args:
        source: `owner/name`, `owner/name:config`; a folder of Parquet files, as
            `emonet push-dataset` writes it; or one that `save_to_disk` wrote.

    Raises:
        DataFormatError: for a dataset that cannot be loaded.
    """
    folder = Path(source)
    try:
        if _is_saved(folder):
            return datasets.load_from_disk(source)
        if folder.is_dir():
            # datasets may take the rows of another folder of this name from its cache.
            with tempfile.TemporaryDirectory() as cache:
                return datasets.load_dataset(source, cache_dir=cache, keep_in_memory=True)
        name, _, config = source.partition(":")
        return datasets.load_dataset(name, config or None)
    except Exception as error:  # from network, Hub, Parquet and datasets itself
        reason = str(error).strip().partition("\n")[0] or repr(error)
        raise DataFormatError(
            f"{source}: cannot load this dataset ({reason}). Check its name (owner/name or "
            "owner/name:config), or save it as a folder of Parquet files and pass the folder."
        ) from error


def import_dataset(source: Any, name: str, columns: Columns | None = None) -> Imported:
    """Write a dataset into emonet's cache, in the form of your own data.

    A row is a turn, a dialogue with a list `turns`, or a dialogue with a list for each
    field.

    Args:
        source: A `Dataset`, which becomes the split that its `split` names, else `train`;
            or a `DatasetDict` with splits train, validation (or dev) and test.
        name: Name of the corpus in results.
        columns: Field (`dialogue_id`, `turn`, `speaker`, `text`, `emotion`) → column.
            Others are found by usual names. `{"speaker": None}` makes all speakers
            unknown.

    Raises:
        DataFormatError: for unknown splits, missing columns, numbers without names as
            labels, and splits with different labels.
    """
    parts = _splits(source, name)
    order: dict[str, int] = {}
    labels: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}
    for split, rows in parts.items():
        reader = _Rows(rows, split, f"{name}, {split}", columns)
        lines[split] = [json.dumps(row, ensure_ascii=False) for row in reader.rows()]
        for dialogue, index in reader.order.items():
            order.setdefault(dialogue, index)
        if reader.labels:
            labels[split] = reader.labels
    if len({tuple(names) for names in labels.values()}) > 1:
        listed = "; ".join(f"{split}: {', '.join(names)}" for split, names in labels.items())
        raise DataFormatError(
            f"{name}: the splits have different labels ({listed}); cast them to one ClassLabel."
        )
    digest = hashlib.sha256(repr(sorted(lines.items())).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    folder = cache_root() / "datasets" / digest
    folder.mkdir(parents=True, exist_ok=True)
    files = {split: folder / f"{split}.jsonl" for split in SPLITS if split in lines}
    for split, file in files.items():
        _write(file, "".join(f"{line}\n" for line in lines[split]))
    return Imported(name, files, next(iter(labels.values()), []), order)


def _splits(source: Any, name: str) -> dict[str, Any]:
    if isinstance(source, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise DataFormatError(f"{name}: this dataset is streamed; load it with streaming=False.")
    if isinstance(source, datasets.Dataset):
        return {SPLIT_NAMES.get(str(source.split), "train"): source}
    parts: dict[str, Any] = {}
    for key, rows in source.items():
        split = SPLIT_NAMES.get(str(key).lower())
        if split is None or split in parts:
            raise DataFormatError(
                f"{name}: split {key!r} is {'not' if split is None else 'also'} "
                f"{split or 'train, validation (or dev) or test'}; its splits are "
                f"{', '.join(map(str, source))}. Rename or leave out one: "
                'DatasetDict({"train": dataset[...]}).'
            )
        parts[split] = rows
    if not parts:
        raise DataFormatError(f"{name}: the dataset has no split.")
    return parts


class _Rows:
    """The rows of one split, with emonet's own fields."""

    def __init__(self, dataset: Any, split: str, location: str, columns: Columns | None):
        self.dataset, self.split, self.location = dataset, split, location
        self.order: dict[str, int] = {}
        given, features = dict(columns or {}), dataset.features
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
        self._check(turn_features, has_speakers=given.get("speaker", "") is not None)
        label = turn_features.get(self.fields.get("emotion"))
        label = _items(label) if self.has_lists else label
        self.labels = list(label.names) if isinstance(label, datasets.ClassLabel) else []

    def _check(self, features: Mapping[str, Any], has_speakers: bool) -> None:
        missing = [field for field in ("speaker", "text") if field not in self.fields]
        if not has_speakers:
            missing.remove("speaker")
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
        for number, row in enumerate(self.dataset):
            location = f"{self.location}, row {number}"
            has_id = self.id_column is not None and not isinstance(row[self.id_column], list)
            dialogue = (
                dialogue_key(row, {"dialogue_id": self.id_column}) if has_id else f"{self.split}-{number}"
            )
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
        if "emotion" in fields:
            fields["emotion"] = self._label(fields["emotion"], location)
        return fields

    def _label(self, value: Any, location: str) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and self.labels:
            if -1 <= value < len(self.labels):
                return None if value == -1 else self.labels[value]
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


def _write(file: Path, text: str) -> None:
    """Write a file whole, unless it is there: its folder's name is its digest."""
    if file.is_file():
        return
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
        os.replace(part, file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
