"""Turn any Hugging Face dataset into files that the reader of your own data takes."""

import hashlib
import json
import os
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..dialogue.tables.columns import Columns
from ..dialogue.tables.datasets import SPLIT_NAMES, DatasetRows
from ..errors import DataFormatError
from ..files.cache import cache_root
from .schema import SPLITS

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
    files = (file for pattern in patterns for file in folder.glob(pattern))
    names = (name for file in files for name in (file.stem.partition("-")[0], file.parent.name))
    return _is_saved(folder) or any(name in SPLIT_NAMES for name in names)


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
        reader = DatasetRows(rows, split, f"{name}, {split}", columns)
        lines[split] = [json.dumps(row, ensure_ascii=False) for row in reader.rows()]
        for dialogue, index in reader.order.items():
            order.setdefault(dialogue, index)
        if reader.without_text:
            warnings.warn(f"{name}, {split}: {reader.without_text} turns without a text.", stacklevel=2)
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
