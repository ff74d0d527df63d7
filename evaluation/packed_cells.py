"""Store the cells of a study in two Parquet files, and read them."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import EmoNetError
from .predictions import STUDY_KEYS

CELLS, PREDICTIONS = "cells.parquet", "predictions.parquet"
SPLITS = ("test", "validation")
# A cell's documents and the columns that hold them: `run.epochs` is the key "epochs" of
# run.json.
DOCUMENTS = {"run": "run", "validation": "metrics", "test": "test_metrics"}
_JSON = {b"form": b"json"}
_FOLD = re.compile(r"-fold-(\d+)-of-(\d+)$")
# Prediction files give probabilities to four decimals; those of folds often have two.
_SCALES = (100, 1_000, 10_000)
_SCALE = _SCALES[-1]
_ABSENT = object()
# Predictions are most of a study: Brotli makes them 4 % smaller than zstd, for the same
# reading time.
_CELLS_OPTIONS = {"compression": "zstd", "compression_level": 22}
_PREDICTIONS_OPTIONS = {"compression": "brotli", "compression_level": 11}


@dataclass(frozen=True)
class PackedCell:
    """The results of one cell.

    Attributes:
        path: `dataset/row/seed-N`, or `dataset/row/seed-N-fold-I-of-K`.
        documents: The JSON documents `run`, `validation` and `test`.
        speakers: The dataset's `speakers.json`, or None.
        rows: Split → prediction rows in the order of their file.
    """

    path: str
    documents: Mapping[str, dict[str, Any]]
    speakers: dict[str, Any] | None
    rows: Mapping[str, list[dict[str, Any]]]


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
        return _read(self.root / CELLS)

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

    def rows(self, path: str, split: str) -> list[dict[str, Any]]:
        """The cell's prediction rows of a split."""
        source = self.root / self.predictions_in.get(path, path)
        return _prediction_rows(source.parents[2] / PREDICTIONS, "/".join(source.parts[-3:]), split)

    @property
    def predictions_in(self) -> dict[str, str]:
        """Cell → cell of another study that holds its predictions, relative to `root`."""
        sources = zip(self.paths, self._table["predictions_in"].to_pylist(), strict=True)
        return {path: source for path, source in sources if source is not None}

    def cells(self) -> Iterator[PackedCell]:
        """All cells with all their contents."""
        for path in self.paths:
            rows = {split: self.rows(path, split) for split in splits_of(path)}
            yield PackedCell(path, self.documents(path), self.speakers(path), rows)


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
    predictions_in = predictions_in or {}
    _replace(
        root / PREDICTIONS,
        predictions_table([cell for cell in cells if cell.path not in predictions_in]),
        _encodings(),
    )
    _replace(root / CELLS, cells_table(cells, predictions_in), _CELLS_OPTIONS)


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


def predictions_table(cells: Sequence[PackedCell]) -> pa.Table:
    """One row for each turn and cell, ordered by turn: values that cells share compress.

    `labels` are the model's labels in its own order. Probabilities are exact, in
    ten-thousandths: `p2`, `p3`, … belong to the labels in the order of `ranking` (the
    likeliest first, by the mean over cells); the first label's is 10,000 + `rounding`
    minus the others. `predicted` is null if it is the likeliest label (of equal ones, the
    first in `ranking`). Where all probabilities have two or three decimals, they are in
    hundredths or thousandths (`scale`). Where rows have none, `labels` is empty, and
    `ranking` has the labels by the number of cells that predict them.
    """
    groups: dict[str, list[tuple[PackedCell, str]]] = {}
    for cell in cells:
        for split, rows in cell.rows.items():
            _check_rows(rows, f"{cell.path}, {split}")
            same = [[row["dialogue_id"], row["turn"], row["speaker"], row["emotion"]] for row in rows]
            key = json.dumps([cell.path.split("/")[0], split, list(rows[0]["scores"] or ()), same])
            groups.setdefault(key, []).append((cell, split))
    tables = [_group_table(members) for members in groups.values()]
    empty = pa.table({"cell": pa.array([], pa.string()), "split": pa.array([], pa.string())})
    return pa.concat_tables(tables, promote_options="default") if tables else empty


def _group_table(members: Sequence[tuple[PackedCell, str]]) -> pa.Table:
    """Rows of cells that were scored on the same turns in the same order."""
    turns = members[0][0].rows[members[0][1]]
    if not turns[0]["scores"]:
        return _label_table(members)
    labels = list(turns[0]["scores"])
    scores = np.array([[list(row["scores"].values()) for row in cell.rows[split]] for cell, split in members])
    parts = np.rint(scores * _SCALE).astype(np.int64)  # (cells, turns, labels)
    if not (parts / _SCALE == scores).all():
        raise EmoNetError(
            f"{members[0][0].path}: probabilities of more than four decimals, "
            "which the packed form cannot store."
        )
    scale = next(scale for scale in _SCALES if not (parts % (_SCALE // scale)).any())
    parts //= _SCALE // scale
    ranking = np.argsort(-parts.mean(0), axis=1, kind="stable")  # (turns, labels)
    ranked = np.take_along_axis(parts, ranking[None], 2)  # (cells, turns, labels by rank)
    # Turns of similar spread side by side compress better.
    order = np.argsort(-ranked[:, :, 3:].sum((0, 2)), kind="stable")
    rankings = [[labels[label] for label in line] for line in ranking]
    columns = _turn_columns(members, order, labels, rankings)
    count = len(members)
    # As the columns above: all cells of a turn, then the next turn.
    flat = ranked[:, order].transpose(1, 0, 2).reshape(-1, len(labels))
    likeliest = np.take_along_axis(np.repeat(ranking[order], count, 0), flat.argmax(1)[:, None], 1)[:, 0]
    predicted = [cell.rows[split][index]["predicted"] for index in order for cell, split in members]
    exceptions = [
        label if label != labels[best] else None for label, best in zip(predicted, likeliest, strict=True)
    ]
    columns["predicted"] = pa.array(exceptions, pa.string())
    if scale != _SCALE:
        columns["scale"] = pa.array(np.full(len(flat), scale), pa.int16())
    columns["rounding"] = pa.array(flat.sum(1) - scale, pa.int16())
    for rank in range(1, len(labels)):  # the first label's follows from the others and the rounding
        columns[f"p{rank + 1}"] = pa.array(flat[:, rank], pa.int16())
    return pa.table(columns)


def _label_table(members: Sequence[tuple[PackedCell, str]]) -> pa.Table:
    """Rows of cells without probabilities: turns that they disagree on come last."""
    predicted = [[row["predicted"] for row in cell.rows[split]] for cell, split in members]
    votes = [Counter(labels) for labels in zip(*predicted, strict=True)]
    rankings = [sorted(counts, key=lambda label: (-counts[label], label)) for counts in votes]
    agreeing = [counts[ranking[0]] for counts, ranking in zip(votes, rankings, strict=True)]
    order = np.argsort(-np.array(agreeing), kind="stable")
    columns = _turn_columns(members, order, [], rankings)
    exceptions = [
        None if labels[index] == rankings[index][0] else labels[index]
        for index in order
        for labels in predicted
    ]
    columns["predicted"] = pa.array(exceptions, pa.string())
    return pa.table(columns)


def _turn_columns(
    members: Sequence[tuple[PackedCell, str]],
    order: npt.NDArray[np.intp],
    labels: Sequence[str],
    rankings: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """The columns that say which turn and cell a row belongs to."""
    turns, count = members[0][0].rows[members[0][1]], len(members)
    columns: dict[str, Any] = {"split": np.repeat(members[0][1], count * len(turns))}
    columns["place"] = pa.array(np.repeat(order, count), pa.int32())  # index in the split
    for name in ("dialogue_id", "turn", "speaker", "emotion"):
        columns[name] = [turns[index][name] for index in order for _ in members]
    columns["labels"] = [json.dumps(labels, ensure_ascii=False)] * (count * len(turns))
    texts = [json.dumps(ranking, ensure_ascii=False) for ranking in rankings]
    columns["ranking"] = [texts[index] for index in order for _ in members]
    columns["cell"] = [cell.path for cell, _ in members] * len(turns)
    return columns


class _Predictions:
    """The table of predictions and where the rows of each cell and split are in it."""

    def __init__(self, file: Path) -> None:
        self.table = _read(file)
        self._rows: dict[tuple[str, str], npt.NDArray[np.intp]] = {}
        if not self.table.num_rows:
            return
        codes, names = zip(*(_codes(self.table[name]) for name in ("cell", "split")), strict=True)
        keys = codes[0] * len(names[1]) + codes[1]
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        for key, rows in zip(found, np.split(order, starts[1:]), strict=True):
            self._rows[names[0][key // len(names[1])], names[1][key % len(names[1])]] = rows

    def of(self, path: str, split: str) -> pa.Table:
        """The rows of a cell and split, in the order of the split."""
        return self.table.take(self._rows.get((path, split), np.array([], np.intp))).sort_by("place")


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


@lru_cache(maxsize=2)
def _predictions(file: Path, _: int) -> _Predictions:
    return _Predictions(file)


def _prediction_rows(file: Path, path: str, split: str) -> list[dict[str, Any]]:
    """The rows of a cell and split, restored from the columns of `_group_table`."""
    if not file.is_file():
        raise EmoNetError(f"{file} is missing. It holds the predictions of {path}: restore it.")
    found = _predictions(file.resolve(), file.stat().st_mtime_ns).of(path, split)
    if not found.num_rows:
        raise EmoNetError(f"{file} holds no {split} predictions of {path}; restore the file.")
    labels = json.loads(found["labels"][0].as_py())
    rows: list[dict[str, Any]] = found.select([name for name in STUDY_KEYS if name != "scores"]).to_pylist()
    rankings = [json.loads(ranking) for ranking in found["ranking"].to_pylist()]
    if not labels:
        for row, ranking in zip(rows, rankings, strict=True):
            row["scores"] = None
            row["predicted"] = row["predicted"] or ranking[0]
        return rows
    scale = (found["scale"][0].as_py() if "scale" in found.column_names else None) or _SCALE
    others = np.stack([found[f"p{rank}"].to_numpy() for rank in range(2, len(labels) + 1)], 1).astype(
        np.int64
    )
    likeliest = scale + found["rounding"].to_numpy().astype(np.int64) - others.sum(1)
    ranked = (np.concatenate([likeliest[:, None], others], 1) / scale).tolist()
    for row, values, ranking in zip(rows, ranked, rankings, strict=True):
        by_label = dict(zip(ranking, values, strict=True))
        row["scores"] = {label: by_label[label] for label in labels}
        row["predicted"] = row["predicted"] or max(by_label, key=by_label.__getitem__)
    return rows


def _check_rows(rows: Sequence[Mapping[str, Any]], location: str) -> None:
    """Refuse rows that the packed form cannot store: missing keys or different labels."""
    labels = list(rows[0].get("scores") or ())
    for row in rows:
        if sorted(row) != sorted(STUDY_KEYS) or list(row["scores"] or ()) != labels:
            turn = f"dialogue {row.get('dialogue_id')!r}, turn {row.get('turn')}"
            raise EmoNetError(f"{location}: {turn} has other keys or labels than a study writes.")


def _is_json(field: pa.Field) -> bool:
    return (field.metadata or {}).get(b"form") == b"json"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _encodings() -> dict[str, Any]:
    shared = [
        "split",
        "place",
        "dialogue_id",
        "turn",
        "speaker",
        "emotion",
        "labels",
        "ranking",
        "cell",
        "predicted",
        "scale",
    ]
    return {
        "use_dictionary": shared,
        **_PREDICTIONS_OPTIONS,
        "data_page_size": 1 << 20,
        "row_group_size": 1 << 24,
    }


def _replace(file: Path, table: pa.Table, options: Mapping[str, Any]) -> None:
    """Replace the file in one step: a reader sees the old or the new one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        split = {
            name: "BYTE_STREAM_SPLIT" for name in table.column_names if name[0] == "p" and name[1:].isdigit()
        }
        if split:
            options = {**options, "column_encoding": split}
        pq.write_table(table, temporary, write_statistics=False, **options)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _read(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise EmoNetError(
            f"Cannot read {file} as a Parquet file of a study ({error}); restore it."
        ) from error
