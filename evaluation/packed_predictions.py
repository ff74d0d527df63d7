"""Hold predictions of a study's cells in columns, and store them in a Parquet file."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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

# Prediction files give probabilities to four decimals; those of folds often have two.
_SCALES = (100, 1_000, 10_000)
_SCALE = _SCALES[-1]
_TURN_KEYS = ("dialogue_id", "turn", "speaker", "emotion")
_SHARED = ("split", "place", *_TURN_KEYS, "labels", "ranking", "cell", "predicted", "scale")
_TEXTS = [name for name in _SHARED if name not in ("place", "turn", "scale")]
_ROWS_PER_GROUP = 1 << 19  # of Parquet: what is in memory as text at a time
# Predictions are most of a study: Brotli makes them 4 % smaller than zstd, for the same
# reading time.
_OPTIONS = {"compression": "brotli", "compression_level": 11, "data_page_size": 1 << 20}


@dataclass(frozen=True)
class Turns:
    """The turns that cells were scored on; cells share them.

    Attributes:
        columns: `dialogue_id`, `turn`, `speaker` and `emotion` of each.
        labels: The model's labels in its own order; none where rows have no scores.
    """

    columns: tuple[tuple[Any, ...], ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PredictedTurns:
    """The prediction rows of a cell's split, in columns.

    Attributes:
        turns: The turns, in the order of the file.
        predicted: (N,) labels.
        parts: Probabilities (N, C) in ten-thousandths; None where there are none.
    """

    turns: Turns
    predicted: tuple[str, ...]
    parts: npt.NDArray[np.int16] | None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], location: str) -> "PredictedTurns":
        """Convert rows.

        Args:
            rows: The rows of a split.
            location: Where they are from, for errors.

        Raises:
            EmoNetError: for rows that the packed form cannot store.
        """
        _check_rows(rows, location)
        columns = zip(*([row[name] for name in _TURN_KEYS] for row in rows), strict=True)
        labels = tuple(rows[0]["scores"] or ())
        parts = None
        if labels:
            scores = np.array([list(row["scores"].values()) for row in rows])
            parts = np.rint(scores * _SCALE).astype(np.int16)
            if not (parts / _SCALE == scores).all():
                raise EmoNetError(
                    f"{location}: probabilities of more than four decimals, "
                    "which the packed form cannot store."
                )
        names: dict[str, str] = {}
        predicted = tuple(names.setdefault(row["predicted"], row["predicted"]) for row in rows)
        return cls(_known(Turns(tuple(columns), labels)), predicted, parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PredictedTurns):
            return NotImplemented
        if (self.turns, self.predicted) != (other.turns, other.predicted):
            return False
        if self.parts is None or other.parts is None:
            return self.parts is other.parts
        return np.array_equal(self.parts, other.parts)

    def __len__(self) -> int:
        return len(self.predicted)

    def rows(self) -> list[dict[str, Any]]:
        """The rows as in a prediction file."""
        scores: Sequence[Any] = [None] * len(self)
        if self.parts is not None:
            labels = self.turns.labels
            scores = [dict(zip(labels, row, strict=True)) for row in (self.parts / _SCALE).tolist()]
        columns = (*self.turns.columns, self.predicted, scores)
        return [dict(zip(STUDY_KEYS, row, strict=True)) for row in zip(*columns, strict=True)]


@lru_cache(maxsize=64)
def _known(turns: Turns) -> Turns:
    """Return the same object for equal turns, so that cells share it in memory."""
    return turns


Member = tuple[str, PredictedTurns]  # a cell's path, and its turns of a split


def write_predictions_file(file: Path, cells: Sequence[tuple[str, Mapping[str, PredictedTurns]]]) -> None:
    """Write one row for each turn and cell, by turn: values that cells share compress.

    `labels` are the model's labels in its own order. Probabilities are exact, in
    ten-thousandths: `p2`, `p3`, … belong to the labels in the order of `ranking` (the
    likeliest first, by the mean over cells); the first label's is 10,000 + `rounding`
    minus the others. `predicted` is null if it is the likeliest label (of equal ones, the
    first in `ranking`). Where all probabilities have two or three decimals, they are in
    hundredths or thousandths (`scale`). Where rows have none, `labels` is empty, and
    `ranking` has the labels by the number of cells that predict them.

    Args:
        file: The Parquet file.
        cells: The path of each cell, and its predictions by split.
    """
    groups: dict[tuple[str, str, Turns], list[Member]] = {}
    for path, splits in cells:
        for split, found in splits.items():
            groups.setdefault((path.split("/")[0], split, found.turns), []).append((path, found))
    tables = [
        (_scored_table if turns.labels else _label_table)(split, turns, members)
        for (_, split, turns), members in groups.items()
    ]
    schema = pa.unify_schemas([table.schema for table in tables]) if tables else _schema(["cell", "split"])
    encoding = {name: "BYTE_STREAM_SPLIT" for name in schema.names if name[0] == "p" and name[1:].isdigit()}
    options = {**_OPTIONS, "write_statistics": False, "use_dictionary": list(_SHARED)}
    with pq.ParquetWriter(file, schema, column_encoding=encoding or None, **options) as writer:
        for table in tables:
            for part in table.parts():
                whole = pa.concat_tables([schema.empty_table(), part], promote_options="default")
                writer.write_table(whole, row_group_size=_ROWS_PER_GROUP)


@dataclass(frozen=True)
class _Table:
    """The rows of cells that were scored on the same turns, made a part at a time.

    Attributes:
        members: The cells.
        order: The turns, as they are stored.
        columns_of: Makes the columns of some of these turns.
        names: The columns.
    """

    members: Sequence[Member]
    order: npt.NDArray[np.intp]
    columns_of: Callable[[npt.NDArray[np.intp]], dict[str, Any]]
    names: Sequence[str]

    @property
    def schema(self) -> pa.Schema:
        return _schema(self.names)

    def parts(self) -> Iterator[pa.Table]:
        size = max(1, _ROWS_PER_GROUP // len(self.members))
        for start in range(0, len(self.order), size):
            yield pa.table(self.columns_of(self.order[start : start + size]), self.schema)


def _scored_table(split: str, turns: Turns, members: Sequence[Member]) -> _Table:
    labels = turns.labels
    parts = np.stack([found.parts for _, found in members if found.parts is not None])
    scale = next(scale for scale in _SCALES if not (parts % (_SCALE // scale)).any())
    parts //= _SCALE // scale  # (cells, turns, labels)
    ranking = np.argsort(-parts.mean(0), axis=1, kind="stable")  # (turns, labels)
    ranked = np.take_along_axis(parts, ranking[None], 2)  # (cells, turns, labels by rank)
    # Turns of similar spread side by side compress better.
    order = np.argsort(-ranked[:, :, 3:].sum((0, 2)), kind="stable")
    names = np.array(labels, object)
    predicted = np.array([found.predicted for _, found in members], object)

    def columns_of(indices: npt.NDArray[np.intp]) -> dict[str, Any]:
        columns = _turn_columns(split, turns, members, indices, names[ranking[indices]].tolist())
        some = ranked[:, indices]
        likeliest = np.take_along_axis(ranking[indices][None], some.argmax(2)[..., None], 2)[..., 0]
        columns["predicted"] = _exceptions(predicted[:, indices], names[likeliest])
        flat = some.transpose(1, 0, 2).reshape(-1, len(labels))
        if scale != _SCALE:
            columns["scale"] = np.full(len(flat), scale)
        columns["rounding"] = flat.sum(1) - scale
        # The first label's follows from the others and the rounding.
        return columns | {f"p{rank + 1}": flat[:, rank] for rank in range(1, len(labels))}

    columns = ["predicted", *(["scale"] if scale != _SCALE else []), "rounding"]
    columns += [f"p{rank}" for rank in range(2, len(labels) + 1)]
    return _Table(members, order, columns_of, [*_TURN_COLUMNS, *columns])


def _label_table(split: str, turns: Turns, members: Sequence[Member]) -> _Table:
    """Rows of cells without probabilities: turns that they disagree on come last."""
    predicted = np.array([found.predicted for _, found in members], object)
    votes = [Counter(labels) for labels in predicted.T.tolist()]
    rankings = [sorted(counts, key=lambda label: (-counts[label], label)) for counts in votes]
    agreeing = [counts[ranking[0]] for counts, ranking in zip(votes, rankings, strict=True)]
    likeliest = np.array([ranking[0] for ranking in rankings], object)

    def columns_of(indices: npt.NDArray[np.intp]) -> dict[str, Any]:
        columns = _turn_columns(split, turns, members, indices, [rankings[index] for index in indices])
        return columns | {"predicted": _exceptions(predicted[:, indices], likeliest[indices])}

    order = np.argsort(-np.array(agreeing), kind="stable")
    return _Table(members, order, columns_of, [*_TURN_COLUMNS, "predicted"])


def _exceptions(predicted: npt.NDArray[Any], likeliest: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The labels (cells, turns) that are not the likeliest: a turn's cells in a row."""
    exceptions: npt.NDArray[Any] = predicted.T.ravel()
    exceptions[(predicted == likeliest).T.ravel()] = None
    return exceptions


_TURN_COLUMNS = ("split", "place", *_TURN_KEYS, "labels", "ranking", "cell")


def _turn_columns(
    split: str,
    turns: Turns,
    members: Sequence[Member],
    indices: npt.NDArray[np.intp],
    rankings: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """The columns that say which turn and cell a row belongs to."""
    count = len(members)
    size = count * len(indices)
    columns: dict[str, Any] = {"split": [split] * size}
    columns["place"] = np.repeat(indices, count)  # index in the split
    for name, values in zip(_TURN_KEYS, turns.columns, strict=True):
        columns[name] = [values[index] for index in indices for _ in members]
    columns["labels"] = [json.dumps(turns.labels, ensure_ascii=False)] * size
    texts = [json.dumps(ranking, ensure_ascii=False) for ranking in rankings]
    columns["ranking"] = [text for text in texts for _ in members]
    columns["cell"] = [path for path, _ in members] * len(indices)
    return columns


def _schema(names: Sequence[str]) -> pa.Schema:
    types = {"place": pa.int32(), "turn": pa.int64(), **dict.fromkeys(_TEXTS, pa.string())}
    return pa.schema([pa.field(name, types.get(name, pa.int16())) for name in names])


class PredictionsFile:
    """A file of predictions, and where the rows of each cell and split are in it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @cached_property
    def table(self) -> pa.Table:
        """All rows; equal texts are one value."""
        return read_table(self.file, read_dictionary=_TEXTS).unify_dictionaries().combine_chunks()

    @cached_property
    def _rows(self) -> dict[tuple[str, str], npt.NDArray[np.intp]]:
        if not self.table.num_rows:
            return {}
        (cells, paths), (splits, names) = (_codes(self.table[name]) for name in ("cell", "split"))
        keys = cells * len(names) + splits
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        return {
            (paths[key // len(names)], names[key % len(names)]): rows
            for key, rows in zip(found, np.split(order, starts[1:]), strict=True)
        }

    def of(self, path: str, split: str) -> PredictedTurns:
        """The turns of a cell and split, restored from the columns that were written."""
        if (path, split) not in self._rows:
            raise EmoNetError(f"{self.file} holds no {split} predictions of {path}; restore the file.")
        found = self.table.take(self._rows[path, split]).sort_by("place")
        labels = tuple(json.loads(found["labels"][0].as_py()))
        turns = Turns(tuple(tuple(found[name].to_pylist()) for name in _TURN_KEYS), labels)
        exceptions = found["predicted"].to_pylist()
        codes, texts = _codes(found["ranking"])
        used, ranking_of = np.unique(codes, return_inverse=True)
        rankings = [json.loads(texts[code]) for code in used]
        parts = None
        if labels:
            scale = (found["scale"][0].as_py() if "scale" in found.column_names else None) or _SCALE
            others = [found[f"p{rank}"].to_numpy() for rank in range(2, len(labels) + 1)]
            ranked = np.stack([found["rounding"].to_numpy(), *others], 1).astype(np.int64)
            ranked[:, 0] += scale - ranked[:, 1:].sum(1)
            ids = np.array([[labels.index(label) for label in ranking] for ranking in rankings])[ranking_of]
            best = np.take_along_axis(ids, ranked.argmax(1)[:, None], 1)[:, 0]
            likeliest = [labels[label] for label in best]
            parts = np.empty(ranked.shape, np.int16)
            np.put_along_axis(parts, ids, ranked * (_SCALE // scale), 1)
        else:
            likeliest = [rankings[index][0] for index in ranking_of]
        names: dict[str, str] = {}
        predicted = (label or best for label, best in zip(exceptions, likeliest, strict=True))
        return PredictedTurns(_known(turns), tuple(names.setdefault(name, name) for name in predicted), parts)


def predictions_file(file: Path, path: str) -> PredictionsFile:
    """Open the file that holds the predictions of a cell.

    Raises:
        EmoNetError: if it is missing.
    """
    if not file.is_file():
        raise EmoNetError(f"{file} is missing. It holds the predictions of {path}: restore it.")
    return _opened(file.resolve(), file.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _opened(file: Path, _: int) -> PredictionsFile:
    return PredictionsFile(file)


def read_table(file: Path, **options: Any) -> pa.Table:
    """Read a Parquet file of a study."""
    try:
        return pq.read_table(file, **options)
    except (OSError, pa.ArrowInvalid) as error:
        raise EmoNetError(
            f"Cannot read {file} as a Parquet file of a study ({error}); restore it."
        ) from error


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist()


def _check_rows(rows: Sequence[Mapping[str, Any]], location: str) -> None:
    """Refuse rows that the packed form cannot store: missing keys or different labels."""
    labels = list(rows[0].get("scores") or ())
    for row in rows:
        if sorted(row) != sorted(STUDY_KEYS) or list(row["scores"] or ()) != labels:
            turn = f"dialogue {row.get('dialogue_id')!r}, turn {row.get('turn')}"
            raise EmoNetError(f"{location}: {turn} has other keys or labels than a study writes.")
