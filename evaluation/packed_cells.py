"""Store the cells of a study in two Parquet files, and read them."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .packed_predictions import PredictedTurns, predictions_file, read_table, write_predictions_file

CELLS, PREDICTIONS = "cells.parquet", "predictions.parquet"
SPLITS = ("test", "validation")
# A cell's documents and the columns that hold them: `run.epochs` is the key "epochs" of
# run.json.
DOCUMENTS = {"run": "run", "validation": "metrics", "test": "test_metrics"}
_JSON = {b"form": b"json"}
_FOLD = re.compile(r"-fold-(\d+)-of-(\d+)$")
_ABSENT = object()
_CELLS_OPTIONS = {"compression": "zstd", "compression_level": 22}


@dataclass(frozen=True)
class PackedCell:
    """The results of one cell.

    Attributes:
        path: `dataset/row/seed-N`, or `dataset/row/seed-N-fold-I-of-K`.
        documents: The JSON documents `run`, `validation` and `test`.
        speakers: The dataset's `speakers.json`, or None.
        predictions: Split → predictions in the order of their file.
    """

    path: str
    documents: Mapping[str, dict[str, Any]]
    speakers: dict[str, Any] | None
    predictions: Mapping[str, PredictedTurns]


def fold_of(path: str) -> tuple[int, int] | None:
    """The index and number of folds that a cell's path names; None for other cells."""
    match = _FOLD.search(path)
    return (int(match[1]), int(match[2])) if match else None


def splits_of(path: str) -> tuple[str, ...]:
    """The splits whose predictions a cell keeps; validation is none that folds share."""
    return SPLITS if fold_of(path) is None else ("test",)


class PackedStudy:
    """The packed cells of a results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _table(self) -> pa.Table:
        return read_table(self.root / CELLS)

    @cached_property
    def paths(self) -> list[str]:
        """The cells, as `dataset/row/seed-N`."""
        paths: list[str] = self._table["cell"].to_pylist()
        return paths

    def documents(self, path: str) -> dict[str, dict[str, Any]]:
        """A cell's `run`, `validation` and `test`."""
        row = self._table.slice(self.paths.index(path), 1)
        found: dict[str, dict[str, Any]] = {name: {} for name in DOCUMENTS}
        for field in row.schema:
            document, _, key = field.name.partition(".")
            value = row[field.name][0].as_py()
            if key and value is not None:
                found[document][key] = json.loads(value) if _is_json(field) else value
        return found

    def speakers(self, path: str) -> dict[str, Any] | None:
        """The `speakers.json` of the cell's dataset."""
        text = self._table["speakers"][self.paths.index(path)].as_py()
        return None if text is None else json.loads(text)

    def predictions(self, path: str, split: str) -> PredictedTurns:
        """The cell's predictions of a split."""
        source = self.root / self.predictions_in.get(path, path)
        file = predictions_file(source.parents[2] / PREDICTIONS, path)
        return file.of("/".join(source.parts[-3:]), split)

    @property
    def predictions_in(self) -> dict[str, str]:
        """Cell → cell of another study that holds its predictions, relative to `root`."""
        sources = zip(self.paths, self._table["predictions_in"].to_pylist(), strict=True)
        return {path: source for path, source in sources if source is not None}

    def cells(self) -> Iterator[PackedCell]:
        """All cells with all their contents."""
        for path in self.paths:
            predictions = {split: self.predictions(path, split) for split in splits_of(path)}
            yield PackedCell(path, self.documents(path), self.speakers(path), predictions)


def packed_study(root: Path) -> PackedStudy | None:
    """The packed cells of a results folder, or None where it has none."""
    file = root / CELLS
    return _opened(root.resolve(), file.stat().st_mtime_ns) if file.is_file() else None


@lru_cache(maxsize=4)
def _opened(root: Path, _: int) -> PackedStudy:
    return PackedStudy(root)


def write_packed(
    root: Path, cells: Sequence[PackedCell], predictions_in: Mapping[str, str] | None = None
) -> None:
    """Write both files; a kill between them leaves cells and predictions that match.

    Args:
        root: The results folder.
        cells: All cells of the study.
        predictions_in: Cell → packed cell of another study with the same predictions,
            relative to `root`.
    """
    shared = predictions_in or {}
    own = [(cell.path, cell.predictions) for cell in cells if cell.path not in shared]
    _replace(root / PREDICTIONS, lambda file: write_predictions_file(file, own))
    table = cells_table(cells, shared)
    _replace(root / CELLS, lambda file: pq.write_table(table, file, write_statistics=False, **_CELLS_OPTIONS))


def cells_table(cells: Sequence[PackedCell], predictions_in: Mapping[str, str]) -> pa.Table:
    """One row for each cell, one column for each key of its documents.

    A column holds JSON text unless all its values are of one plain type.
    """
    columns: dict[str, pa.Array] = {"cell": pa.array([cell.path for cell in cells], pa.string())}
    fields = [pa.field("cell", pa.string())]
    for document in DOCUMENTS:
        for key in dict.fromkeys(key for cell in cells for key in cell.documents[document]):
            values = [cell.documents[document].get(key, _ABSENT) for cell in cells]
            kinds = {type(value) for value in values if value is not _ABSENT}
            plain = len(kinds) == 1 and kinds <= {int, float, str, bool}
            array = pa.array(
                [None if value is _ABSENT else value if plain else _json_text(value) for value in values]
            )
            name = f"{document}.{key}"
            columns[name] = array
            fields.append(pa.field(name, array.type, metadata=None if plain else _JSON))
    columns["speakers"] = pa.array(
        [cell.speakers and _json_text(cell.speakers) for cell in cells], pa.string()
    )
    columns["predictions_in"] = pa.array([predictions_in.get(cell.path) for cell in cells], pa.string())
    fields += [pa.field("speakers", pa.string(), metadata=_JSON), pa.field("predictions_in", pa.string())]
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def _is_json(field: pa.Field) -> bool:
    return (field.metadata or {}).get(b"form") == b"json"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _replace(file: Path, write: Callable[[Path], None]) -> None:
    """Replace the file in one step: a reader sees the old or the new one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
