"""Compute and write the effects of a study's factors, with intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..evaluation.compare import METRIC_TITLES, p_text
from ..evaluation.metrics import neutral_ids
from ..evaluation.significance import RESAMPLES, Contrast, contrasts_of_counts, holm
from .document import Block, Heading, Picture, Table, Text
from .factors import Effect, crossed, effects_of, weight_matrix
from .plots import BLUE, ORANGE, Differences, plot_forest
from .study import Study
from .table import DatasetTable, with_interval


class FoundEffect(NamedTuple):
    """An effect in points of a metric, and its p value corrected over all effects."""

    effect: Effect
    contrast: Contrast
    p_holm: float


def effects_in(study: Study, table: DatasetTable, resamples: int = RESAMPLES) -> list[FoundEffect]:
    """Compute all main effects and interactions of two factors; none if a row is missing.

    Each row's score is the mean over its seeds; the units of the table are resampled.
    """
    rows = list(crossed(study.factors))
    if not rows or any(name not in table.rows for name in rows):
        return []
    effects = effects_of(study.factors)
    found = contrasts_of_counts(
        [table.rows[name].counts for name in rows],
        weight_matrix(effects, rows),
        table.metric,
        neutral=neutral_ids(table.labels),
        resamples=resamples,
    )
    corrected = holm([contrast.p for contrast in found])
    return [FoundEffect(*parts) for parts in zip(effects, found, corrected, strict=True)]


def effects_blocks(
    study: Study, tables: Mapping[str, DatasetTable], resamples: int, file: Path
) -> tuple[list[Block], dict[str, Any]]:
    """The effects in each of a dataset's tables, as blocks and as `table.json` has them.

    Args:
        study: A study with factors.
        tables: Name, such as `episode folds` → the table.
        resamples: Of the bootstrap.
        file: The picture's PNG, which is written if there are effects.
    """
    found = {name: effects_in(study, table, resamples) for name, table in tables.items()}
    found = {name: effects for name, effects in found.items() if effects}
    title: Block = Heading(3, "Effects")
    if not found:
        return [title, Text("**Missing:** effects need all rows that the factors cross.")], {}
    metric = METRIC_TITLES[next(iter(tables.values())).metric]
    bases = ", ".join(f"{factor}: {levels[0]}" for factor, levels in study.factors.items())
    about = (
        f"A main effect is the mean change in {metric}, in points, from a factor's base ({bases}) to one of "
        "its levels, over all levels of the other factors. An interaction (×) is by how much the effect of "
        "one level differs with and without the other. Scores are means over seeds; intervals and p are of "
        "the paired bootstrap, and p (Holm) is corrected over all effects."
    )
    header, columns = ["effect"], []
    for name, effects in found.items():
        header += [f"{name} [95 %]", "p (Holm)"]
        columns += [[with_interval(effect.contrast) for effect in effects]]
        columns += [[p_text(effect.p_holm).removeprefix("= ") for effect in effects]]
    names = [effect.effect.name for effect in next(iter(found.values()))]
    colours = dict(zip(tables, (BLUE, ORANGE), strict=False))
    drawn = [
        Differences(name, {e.effect.name: (e.contrast, e.p_holm) for e in effects}, colours[name])
        for name, effects in found.items()
    ]
    version = next(iter(tables.values())).version
    plot_forest(file, drawn, f"effect in points of {metric}", f"{version}: effect, 95 % interval, p (Holm)")
    caption = "Main effects and interactions; filled where p (Holm) is below 0.05."
    blocks: list[Block] = [
        title,
        Text(about),
        Table(header, [list(line) for line in zip(names, *columns, strict=True)]),
        Picture(f"{file.parent.name}/{file.name}", caption),
    ]
    return blocks, {name: list(map(_as_json, effects)) for name, effects in found.items()}


def _as_json(found: FoundEffect) -> dict[str, Any]:
    return {"effect": found.effect.levels, **vars(found.contrast), "p_holm": found.p_holm}
