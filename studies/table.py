"""The numbers of a study's report, from its finished cells: means, intervals,
differences, p values.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmoNetError
from ..evaluation.predictions import counts_of, label_names
from ..evaluation.scored_runs import ScoredRun, check_same_test_set
from ..evaluation.significance import (
    METRICS,
    RESAMPLES,
    Comparison,
    Interval,
    bootstrap_interval,
    compare_counts,
    holm,
    metric_of_counts,
)
from .cells import FinishedCell, read_cell
from .study import Study


@dataclass(frozen=True)
class RowResult:
    """A row on a dataset.

    Attributes:
        cells: Finished cells by seed. missing: Seeds of the study without one. counts:
            (S, D, C, C) confusion counts on test.
        figures: weighted_f1, macro_f1, accuracy on test and `validation` (weighted F1),
            each a value a seed (fractions).
        interval: Weighted F1 over dialogues. against: This row minus the reference, over
            the seeds that both have.
        p_holm: Its permutation p, corrected over the dataset's rows.
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
    """A further comparison that the study names: the first row minus the second; `p_holm`
    is corrected over these pairs.
    """

    first: str
    second: str
    difference: Comparison
    p_holm: float


@dataclass(frozen=True)
class DatasetTable:
    """A dataset's rows in the study's order.

    Attributes:
        rows: Those with a finished cell. absent: Names of those without any.
    """

    dataset: str
    version: str
    labels: list[str]
    rows: dict[str, RowResult]
    absent: list[str]
    pairs: list[PairResult]

    @property
    def best(self) -> RowResult:
        """The row with the best mean on validation: test figures choose nothing."""
        return max(self.rows.values(), key=lambda row: statistics.mean(row.figures["validation"]))


def dataset_table(study: Study, dataset: str, root: Path, resamples: int = RESAMPLES) -> DatasetTable:
    """The table of a dataset from the finished cells in the results folder `root`.

    Raises:
        EmoNetError: where there is no cell, one is another than the study asks for, or
            cells are of different versions of the dataset or the package.
    """
    by_row: dict[str, dict[int, FinishedCell]] = {name: {} for name in study.rows}
    for cell in study.cells():
        if cell.dataset == dataset and (finished := read_cell(root, cell)):
            by_row[cell.row.name][cell.seed] = finished
    cells = [cell for row in by_row.values() for cell in row.values()]
    if not cells:
        raise EmoNetError(f"{root} holds no finished cell of {dataset!r}: run the study first.")
    _check_alike(cells)
    labels = label_names(cells[0].predictions())
    counts = {name: _counts(row, labels, cells[0]) for name, row in by_row.items() if row}
    results = {name: _row(study, name, by_row[name], counts[name], resamples) for name in counts}
    return DatasetTable(
        dataset=dataset,
        version=cells[0].test["dataset_version"],
        labels=labels,
        rows=_with_reference(study.reference, results, resamples),
        absent=[name for name in study.rows if name not in results],
        pairs=_pairs(study, results, resamples),
    )


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over seeds; None of one seed."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def as_json(table: DatasetTable) -> dict[str, Any]:
    """The table for `table.json`, as fractions."""
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
            {"row": p.first, "against": p.second, **_comparison_json(p.difference, p.p_holm)}
            for p in table.pairs
        ],
    }


def _comparison_json(result: Comparison, p_holm: float | None) -> dict[str, Any]:
    names = ("difference", "low", "high", "p_permutation", "p_bootstrap", "seeds", "resamples")
    return {**{name: getattr(result, name) for name in names}, "p_holm": p_holm}


def _check_alike(cells: Sequence[FinishedCell]) -> None:
    """All cells of a dataset are of one version of it, and of one of this package."""
    for key, what in (("dataset_version", "the dataset"), ("emonet", "emonet")):
        by_version = {cell.run["cell"][key]: cell for cell in cells}
        if len(by_version) > 1:
            found = "; ".join(f"{version} in {cell.folder}" for version, cell in by_version.items())
            raise EmoNetError(
                f"Cells of different versions of {what} never stand in one table: {found}. Run the others anew (--fresh)."
            )


def _counts(row: Mapping[int, FinishedCell], labels: Sequence[str], first: FinishedCell) -> np.ndarray:
    """(S, D, C, C) of a row's cells, which must be scored on the same turns as `first`."""
    standard = ScoredRun(first.folder, first.predictions())
    counts = []
    for cell in row.values():
        rows = cell.predictions()
        check_same_test_set(standard, ScoredRun(cell.folder, rows))
        counts.append(counts_of(rows, labels))
    return np.stack(counts)


def _row(
    study: Study, name: str, cells: dict[int, FinishedCell], counts: np.ndarray, resamples: int
) -> RowResult:
    figures = {metric: [float(metric_of_counts(one.sum(0), metric)) for one in counts] for metric in METRICS}
    figures["validation"] = [cell.validation["weighted_f1"] for cell in cells.values()]
    missing = [seed for seed in study.seeds if seed not in cells]
    return RowResult(name, cells, missing, counts, figures, bootstrap_interval(counts, resamples=resamples))


def _with_reference(reference: str, rows: dict[str, RowResult], resamples: int) -> dict[str, RowResult]:
    """The rows with their differences from the reference and Holm-corrected p values."""
    against = {name: _compare(rows, name, reference, resamples) for name in rows if name != reference}
    found = {name: result for name, result in against.items() if result is not None}
    corrected = dict(zip(found, holm([result.p_permutation for result in found.values()]), strict=True))
    return {
        name: replace(row, against=found.get(name), p_holm=corrected.get(name)) for name, row in rows.items()
    }


def _pairs(study: Study, rows: Mapping[str, RowResult], resamples: int) -> list[PairResult]:
    found = [
        (pair, result) for pair in study.pairs if (result := _compare(rows, *pair, resamples)) is not None
    ]
    corrected = holm([result.p_permutation for _, result in found])
    return [PairResult(*pair, result, p) for (pair, result), p in zip(found, corrected, strict=True)]


def _compare(rows: Mapping[str, RowResult], name: str, reference: str, resamples: int) -> Comparison | None:
    """The row minus the reference over the seeds that both have; None without any."""
    if name not in rows or reference not in rows:
        return None
    seeds = [seed for seed in rows[name].cells if seed in rows[reference].cells]
    if not seeds:
        return None
    first, second = (
        rows[each].counts[[list(rows[each].cells).index(seed) for seed in seeds]]
        for each in (reference, name)
    )
    return compare_counts(first, second, resamples=resamples)
