"""Compute a study's table: means, intervals, differences and p values."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.loading import primary_metric
from ..errors import EmoNetError
from ..evaluation.metrics import neutral_ids
from ..evaluation.predictions import annotated, counts_of, label_names
from ..evaluation.scored_runs import ScoredRun, check_same_test_set
from ..evaluation.significance import (
    METRICS,
    RESAMPLES,
    Comparison,
    Contrast,
    Interval,
    bootstrap_interval,
    compare_counts,
    holm,
    metric_of_counts,
)
from .cells import FinishedCell, read_cell
from .pooling import pooled
from .study import Study

# Entries of a cell that must be equal in a table, and what different ones are called.
_SAME_FOR_ALL = {
    "dataset_version": "versions of the dataset",
    "emonet": "versions of emonet",
    "dtype": "dtypes",
}


class _Measure(NamedTuple):
    """What is computed of a dataset's counts, and from how many resamples."""

    metric: str
    neutral: list[int]
    resamples: int


@dataclass(frozen=True)
class RowResult:
    """The results of a row on a dataset.

    Attributes:
        cells: Finished cells by seed.
        missing: Seeds of the study without a finished cell.
        counts: (S, D, C, C) confusion counts on test: seeds, units, classes.
        figures: weighted_f1, macro_f1, accuracy and the dataset's metric on test, and
            `validation` (the dataset's metric); one fraction for each seed.
        interval: Bootstrap interval of the dataset's metric over the table's units.
        against: This row minus the reference, over the seeds that both have.
        p_holm: The permutation p of `against`, corrected over the dataset's rows.
    """

    name: str
    cells: dict[int, FinishedCell]
    missing: list[int]
    counts: np.ndarray
    figures: dict[str, list[float]]
    interval: Interval
    against: Comparison | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class PairResult:
    """A further comparison of the study: the first row minus the second.

    `p_holm` is corrected over these pairs.
    """

    first: str
    second: str
    difference: Comparison
    p_holm: float


@dataclass(frozen=True)
class DatasetTable:
    """The results of a dataset, with rows in the order of the study.

    Attributes:
        unit: What is resampled, `dialogues` or `episodes`.
        metric: The metric that is compared, see [`primary_metric`].
        rows: Rows with a finished cell, by name.
        absent: Names of the rows without a finished cell.
    """

    dataset: str
    version: str
    unit: str
    metric: str
    labels: list[str]
    rows: dict[str, RowResult]
    absent: list[str]
    pairs: list[PairResult]

    @property
    def best(self) -> RowResult:
        """The row with the best mean on validation, never on test."""
        return max(self.rows.values(), key=lambda row: statistics.mean(row.figures["validation"]))


def dataset_table(study: Study, dataset: str, root: Path, resamples: int = RESAMPLES) -> DatasetTable:
    """Compute the public test set's table from the finished cells in the folder `root`.

    Raises:
        EmoNetError: if there is no cell, a cell does not match the study, or cells are of
            different versions of the dataset or the package.
    """
    by_row: dict[str, dict[int, FinishedCell]] = {name: {} for name in study.rows}
    for cell in study.cells():
        if cell.dataset == dataset and cell.fold is None and (finished := read_cell(root, cell)):
            by_row[cell.row.name][cell.seed] = finished
    cells = [cell for row in by_row.values() for cell in row.values()]
    if not cells:
        raise EmoNetError(f"{root} holds no finished cell of {dataset!r}: run the study first.")
    _check_versions(cells)
    predictions = cells[0].predictions()
    labels = label_names(predictions) if predictions[0]["scores"] else list(cells[0].test["per_class"])
    counts = {name: _counts(row, labels, cells[0]) for name, row in by_row.items() if row}
    return _table(study, dataset, by_row, labels, counts, "dialogues", study.seeds, resamples)


def fold_tables(
    study: Study, dataset: str, root: Path, resamples: int = RESAMPLES
) -> tuple[DatasetTable, DatasetTable] | None:
    """Compute a dataset's tables over all turns, each scored in its own fold.

    A seed counts where all its folds are finished.

    Returns:
        A table that resamples episodes, and one that resamples dialogues; None without a
        finished seed.

    Raises:
        EmoNetError: as [`dataset_table`] does.
    """
    by_row: dict[str, dict[int, FinishedCell]] = {name: {} for name in study.rows}
    for name, seed in itertools.product(study.rows, study.fold_seeds):
        folds = [
            read_cell(root, cell)
            for cell in study.cells()
            if (cell.dataset, cell.row.name, cell.seed) == (dataset, name, seed) and cell.fold
        ]
        if finished := [cell for cell in folds if cell]:
            _check_versions(finished)
        if len(finished) == study.folds:
            by_row[name][seed] = pooled(finished)
    cells = [cell for row in by_row.values() for cell in row.values()]
    if not cells:
        return None
    _check_versions(cells)
    labels = list(cells[0].test["per_class"])
    counts = {name: _counts(row, labels, cells[0]) for name, row in by_row.items() if row}
    dialogues = sorted({str(row["dialogue_id"]) for row in annotated(cells[0].predictions())})
    episodes = [cells[0].test["episodes"][dialogue] for dialogue in dialogues]
    of_episodes = {name: _summed(matrices, episodes) for name, matrices in counts.items()}
    by_episode, by_dialogue = (
        _table(study, dataset, by_row, labels, matrices, unit, study.fold_seeds, resamples)
        for unit, matrices in (("episodes", of_episodes), ("dialogues", counts))
    )
    return by_episode, by_dialogue


def _table(
    study: Study,
    dataset: str,
    by_row: Mapping[str, dict[int, FinishedCell]],
    labels: list[str],
    counts: Mapping[str, np.ndarray],
    unit: str,
    seeds: Sequence[int],
    resamples: int,
) -> DatasetTable:
    version = next(cell for row in by_row.values() for cell in row.values()).test["dataset_version"]
    measure = _Measure(primary_metric(version), neutral_ids(labels), resamples)
    results = {name: _row(seeds, name, by_row[name], counts[name], measure) for name in counts}
    return DatasetTable(
        dataset=dataset,
        version=version,
        unit=unit,
        metric=measure.metric,
        labels=labels,
        rows=_with_reference(study.reference, results, measure),
        absent=[name for name in study.rows if name not in results],
        pairs=_pairs(study, results, measure),
    )


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over seeds; the latter is None for one seed."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def with_interval(result: Comparison | Contrast) -> str:
    """A difference with its interval, in points."""
    return f"{100 * result.difference:+.2f} [{100 * result.low:+.2f}, {100 * result.high:+.2f}]"


def as_json(table: DatasetTable) -> dict[str, Any]:
    """The table as `table.json` holds it, in fractions."""
    rows = []
    for row in table.rows.values():
        figures = {
            name: dict(zip(("mean", "sd"), mean_sd(values), strict=True))
            for name, values in row.figures.items()
        }
        rows.append(
            {
                "row": row.name,
                "seeds": list(row.cells),
                "missing_seeds": row.missing,
                **figures,
                "interval": [row.interval.low, row.interval.high],
                "against_reference": None
                if row.against is None
                else _comparison_json(row.against, row.p_holm),
            }
        )
    first = next(iter(table.rows.values()))
    return {
        "dataset": table.dataset,
        "dataset_version": table.version,
        "split": "test",
        "n_dialogues": first.interval.n_dialogues,
        "n_turns": first.interval.n_turns,
        "level": first.interval.level,
        "rows": rows,
        "rows_without_cells": table.absent,
        "pairs": [
            {"row": pair.first, "against": pair.second, **_comparison_json(pair.difference, pair.p_holm)}
            for pair in table.pairs
        ],
    }


def _comparison_json(result: Comparison, p_holm: float | None) -> dict[str, Any]:
    names = ("difference", "low", "high", "p_permutation", "p_bootstrap", "seeds", "resamples")
    return {**{name: getattr(result, name) for name in names}, "p_holm": p_holm}


def _check_versions(cells: Sequence[FinishedCell]) -> None:
    """All cells of a dataset must be of one version of it and of emonet, in one dtype."""
    for key, what in _SAME_FOR_ALL.items():
        by_version = {{"dtype": cell.dtype, **cell.run["cell"]}[key]: cell for cell in cells}
        if len(by_version) > 1:
            found = "; ".join(f"{version} in {cell.folder}" for version, cell in by_version.items())
            raise EmoNetError(
                f"Cells of different {what} cannot be in one table: {found}. Run the others again (--fresh)."
            )


def _counts(row: Mapping[int, FinishedCell], labels: Sequence[str], first: FinishedCell) -> np.ndarray:
    """(S, D, C, C) of a row; all cells must be scored on the same turns as `first`."""
    expected = ScoredRun(first.folder, first.predictions())
    counts = []
    for cell in row.values():
        rows = cell.predictions()
        check_same_test_set(expected, ScoredRun(cell.folder, rows))
        counts.append(counts_of(rows, labels))
    return np.stack(counts)


def _summed(counts: np.ndarray, episodes: Sequence[str]) -> np.ndarray:
    """Sum the counts (S, D, C, C) of dialogues by their episodes: (S, E, C, C)."""
    names, owner = np.unique(episodes, return_inverse=True)
    summed: np.ndarray = np.stack([counts[:, owner == index].sum(1) for index in range(len(names))], axis=1)
    return summed


def _row(
    seeds: Sequence[int],
    name: str,
    cells: dict[int, FinishedCell],
    counts: np.ndarray,
    measure: _Measure,
) -> RowResult:
    figures = {
        metric: [float(metric_of_counts(matrices.sum(0), metric, measure.neutral)) for matrices in counts]
        for metric in dict.fromkeys((*METRICS, measure.metric))
    }
    figures["validation"] = [cell.validation[measure.metric] for cell in cells.values()]
    missing = [seed for seed in seeds if seed not in cells]
    interval = bootstrap_interval(counts, **measure._asdict())
    return RowResult(name, cells, missing, counts, figures, interval)


def _with_reference(reference: str, rows: dict[str, RowResult], measure: _Measure) -> dict[str, RowResult]:
    """Add differences from the reference and Holm-corrected p values to the rows."""
    against = {name: _compare(rows, name, reference, measure) for name in rows if name != reference}
    found = {name: result for name, result in against.items() if result is not None}
    corrected = dict(zip(found, holm([result.p_permutation for result in found.values()]), strict=True))
    return {
        name: replace(row, against=found.get(name), p_holm=corrected.get(name)) for name, row in rows.items()
    }


def _pairs(study: Study, rows: Mapping[str, RowResult], measure: _Measure) -> list[PairResult]:
    found = [(pair, result) for pair in study.pairs if (result := _compare(rows, *pair, measure)) is not None]
    corrected = holm([result.p_permutation for _, result in found])
    return [PairResult(*pair, result, p) for (pair, result), p in zip(found, corrected, strict=True)]


def _compare(
    rows: Mapping[str, RowResult], name: str, reference: str, measure: _Measure
) -> Comparison | None:
    """The row minus the reference over the seeds that both have; None without any."""
    if name not in rows or reference not in rows:
        return None
    seeds = [seed for seed in rows[name].cells if seed in rows[reference].cells]
    if not seeds:
        return None
    first, second = (
        row.counts[[list(row.cells).index(seed) for seed in seeds]] for row in (rows[reference], rows[name])
    )
    return compare_counts(first, second, **measure._asdict())
