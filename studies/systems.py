"""Write the report's section on published systems and their figures."""

import statistics
from typing import Any

from .document import Block, Heading, Table, Text
from .published import Published, published
from .sections import percent
from .study import Study
from .table import DatasetTable, RowResult

_HEADER = (
    "row",
    "sees the future",
    "trained parameters",
    "training turns/s",
    "weighted F1 here",
    "published",
    "its test set",
    "its epoch by",
    "its backbone",
    "its runs",
)


def systems_section(study: Study, table: DatasetTable) -> list[Block]:
    """Cost, causality and published figure of each row; empty if nothing is published."""
    known = {name: published(study.rows[name].preset, table.version) for name in table.rows}
    if not any(known.values()):
        return []
    lines = [_line(row, known[name]) for name, row in table.rows.items()]
    return [
        Heading(3, "The systems and their papers"),
        Text(
            "Trained parameters stand behind the backbone (or with it, where it is trained). Turns/s are of "
            "training with its validation, the median over seeds, whatever else the machine did meanwhile. A "
            "published figure is on its own backbone, runs and selection; only one whose test set is that of "
            f"`{table.version}` is of the same turns at all."
        ),
        Table(_HEADER, lines),
    ]


def system_facts(study: Study, row: RowResult, dataset_version: str) -> dict[str, Any]:
    """The facts of a row for `table.json`."""
    found = published(study.rows[row.name].preset, dataset_version)
    return {
        "sees_future": _sees_future(row),
        "trained_parameters": _parameters(row),
        "training_turns_per_second": _turns_per_second(row),
        "published": None if found is None else vars(found),
    }


def _line(row: RowResult, found: Published | None) -> list[str]:
    rate, parameters = _turns_per_second(row), _parameters(row)
    literature = (
        [found.weighted_f1, found.test_set, found.selection, found.backbone, found.runs]
        if found
        else ["–"] * 5
    )
    return [
        row.name,
        "yes" if _sees_future(row) else "no",
        "–" if parameters is None else f"{parameters / 1e6:.2f} M",
        "–" if rate is None else f"{rate:,.0f}",
        percent(row.figures["weighted_f1"]),
        *literature,
    ]


def _sees_future(row: RowResult) -> bool:
    return not next(iter(row.cells.values())).test.get("causal", True)


def _parameters(row: RowResult) -> int | None:
    return next(iter(row.cells.values())).run.get("trainable_parameters")


def _turns_per_second(row: RowResult) -> float | None:
    """Training turns by seconds over all epochs, the median over seeds."""
    rates = [
        cell.run["training_turns"] * len(cell.run["epochs"]) / cell.run["seconds"]["train"]
        for cell in row.cells.values()
        if cell.run.get("training_turns") and cell.run["seconds"]["train"]
    ]
    return round(statistics.median(rates), 1) if rates else None
