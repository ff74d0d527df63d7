"""Write a study's report: `report.md`, `table.json` and `plots/`."""

import json
from pathlib import Path
from typing import Any

from ..checkpoint.run_record import write_json
from ..constants import PACKAGE_VERSION
from ..evaluation.compare import METRIC_TITLES, p_text
from ..evaluation.pictures import stack_pictures
from ..evaluation.significance import RESAMPLES
from .cells import cell_paths, check_folds
from .document import Block, Heading, Picture, Table, Text, as_markdown
from .effects import effects_blocks
from .fold_report import FoldTables, fold_blocks, folds_as_json
from .plots import BLUE, from_reference, plot_forest
from .sections import calibration_section, curves_picture, emotion_pictures, groups_section, percent
from .study import STUDY_FILE, Study, slug
from .systems import system_facts, systems_section
from .table import DatasetTable, RowResult, as_json, dataset_table, fold_tables, with_interval

PLOTS = "plots"


def write_study_report(
    study: Study, output_dir: str | Path, resamples: int = RESAMPLES
) -> list[DatasetTable]:
    """Write the report of the finished cells; it also lists the missing ones.

    Nothing is trained, and no corpus is read.

    Args:
        study: The study.
        output_dir: Its results folder.
        resamples: Of the bootstrap and the permutation test.

    Returns:
        The table of each dataset.

    Raises:
        EmoNetError: for cells that do not match the study, or of different versions; see
            [`dataset_table`].
    """
    root = Path(output_dir)
    check_folds(root, study)
    plots = root / PLOTS
    plots.mkdir(parents=True, exist_ok=True)
    stored = set(cell_paths(root))
    started = {cell.dataset for cell in study.cells() if cell.path in stored}
    public = {cell.dataset for cell in study.cells() if cell.path in stored and cell.fold is None}
    tables = {
        dataset: dataset_table(study, dataset, root, resamples)
        for dataset in study.datasets
        if dataset in public or not started
    }
    folds: dict[str, FoldTables] = {}
    effects: dict[str, Any] = {}
    for dataset in study.datasets if study.folds else ():
        if found := fold_tables(study, dataset, root, resamples):
            folds[dataset] = found
    blocks: list[Block] = [
        Heading(1, study.name),
        *([Text(study.note)] if study.note else []),
        _method(study, resamples),
    ]
    if absent := [dataset for dataset in study.datasets if dataset not in started]:
        blocks.append(Text(f"**Missing:** no finished cell of {', '.join(absent)}."))
    for dataset in study.datasets:
        table, by_folds = tables.get(dataset), folds.get(dataset)
        version = table.version if table else by_folds[0].version if by_folds else None
        if version is not None:
            blocks.append(Heading(2, version))
        if study.folds and not by_folds:
            blocks.append(Text(f"**Missing:** no seed of a row has all {study.folds} episode folds yet."))
        if study.factors and (table or by_folds):
            named = {"episode folds": by_folds and by_folds[0], "public test set": table}
            scored = {name: one for name, one in named.items() if one is not None}
            file = plots / f"{slug(dataset)}-effects.png"
            written, effects[dataset] = effects_blocks(study, scored, resamples, file)
            blocks += written
        if by_folds:
            forest = None if study.factors else plots / f"{slug(dataset)}-folds.png"
            blocks += fold_blocks(study.folds, by_folds, table, study.reference, forest)
        if by_folds and not table:
            blocks.append(Text("No finished cell on a public test set."))
        if table:
            blocks += [Heading(3, "The public test set")] if study.folds else []
            blocks += _dataset_blocks(study, table, root)
    blocks += _rows_blocks(study)
    # Note and reference may have changed since the cells were run.
    write_json(root / STUDY_FILE, study.source)
    (root / "report.md").write_text(as_markdown(blocks), "utf-8")
    document: dict[str, Any] = {
        "study": study.name,
        "emonet": PACKAGE_VERSION,
        "backbone": study.backbone,
        "reference": study.reference,
    }
    content: dict[str, Any] = {**document, "datasets": [_as_json(study, table) for table in tables.values()]}
    if study.factors:
        content["effects"] = effects
    if study.folds:
        content["episode_folds"] = [folds_as_json(study.folds, found) for found in folds.values()]
    (root / "table.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return [*tables.values(), *(by_episode for by_episode, _ in folds.values())]


def _as_json(study: Study, table: DatasetTable) -> dict[str, Any]:
    content = as_json(table)
    for line in content["rows"]:
        line.update(system_facts(study, table.rows[line["row"]], table.version))
    return content


def _method(study: Study, resamples: int) -> Text:
    return Text(
        "Figures are percent on the test set, mean ± standard deviation over seeds; the epoch was chosen on "
        "validation. Intervals are 95 % percentile intervals of a bootstrap over dialogues "
        f"({resamples:,} resamples, the mean over seeds in each). Differences are from “{study.reference}” "
        "with the same seeds on the same dialogues: their intervals are of the paired bootstrap, p is of the "
        "paired permutation test over dialogues (two-sided), and p (Holm) is corrected over the rows of a "
        "table. They speak of these trained models on new dialogues; how much a seed changes is the "
        "deviation."
    )


def _dataset_blocks(study: Study, table: DatasetTable, root: Path) -> list[Block]:
    prefix, plots = slug(table.dataset), root / PLOTS
    blocks: list[Block] = [Text(_facts(study, table)), *_missing(study, table)]
    title = METRIC_TITLES[table.metric]
    lines_of_rows = [_table_row(row, study.reference, table.metric) for row in table.rows.values()]
    blocks.append(Table(_header(title), lines_of_rows))
    if not study.factors and any(row.against for row in table.rows.values()):
        about = f"{table.version}, test: difference, 95 % interval, p (Holm)"
        drawn = [from_reference("test", table, BLUE)]
        axis = f"{title} minus that of “{study.reference}” (points)"
        plot_forest(plots / f"{prefix}-forest.png", drawn, axis, about)
        caption = (
            f"Differences from “{study.reference}” in points of {title}; filled where p (Holm) is below 0.05."
        )
        blocks.append(Picture(f"{PLOTS}/{prefix}-forest.png", caption))
    if table.pairs:
        lines = [
            [
                pair.first,
                pair.second,
                with_interval(pair.difference),
                *map(_p, (pair.difference.p_permutation, pair.p_holm)),
            ]
            for pair in table.pairs
        ]
        about = f"One row minus another, in points of {title}; p (Holm) is corrected over these pairs."
        header = ["row", "minus", "difference [95 %]", "p", "p (Holm)"]
        blocks += [
            Heading(3, "Pairs of rows"),
            Text(about),
            Table(header, lines, text_columns=2),
        ]
    if study.factors:  # of so many rows the effects say more than a figure of each
        return blocks
    blocks += systems_section(study, table)
    sections: list[Block] = [
        *emotion_pictures(table, study.reference, plots, prefix),
        *groups_section(table, study.reference),
        *calibration_section(table, study.reference, plots, prefix),
        curves_picture(table, study.reference, plots, prefix),
    ]
    pictures = [block for block in sections if isinstance(block, Picture)]
    file = f"{PLOTS}/{prefix}-figures.png"
    stack_pictures([root / picture.file for picture in pictures], root / file)
    captions = " ".join(f"({number}) {picture.caption}" for number, picture in enumerate(pictures, 1))
    return [
        *blocks,
        *(block for block in sections if not isinstance(block, Picture)),
        Heading(3, "Figures"),
        Picture(file, f"From top to bottom: {captions}"),
    ]


def _header(title: str) -> list[str]:
    compared = ["95 % interval", "difference [95 %]", "p", "p (Holm)"]
    return ["row", "seeds", title, *compared, "macro F1", "accuracy", f"{title}, validation"]


def _table_row(row: RowResult, reference: str, metric: str) -> list[str]:
    low, high = 100 * row.interval.low, 100 * row.interval.high
    seeds = str(len(row.cells)) + (f" (without {', '.join(map(str, row.missing))})" if row.missing else "")
    if row.against is None or row.p_holm is None:
        compared = ["reference" if row.name == reference else "–", "–", "–"]
    else:
        compared = [with_interval(row.against), _p(row.against.p_permutation), _p(row.p_holm)]
    figures = [percent(row.figures[name]) for name in ("macro_f1", "accuracy", "validation")]
    return [
        row.name,
        seeds,
        percent(row.figures[metric]),
        f"[{low:.2f}, {high:.2f}]",
        *compared,
        *figures,
    ]


def _facts(study: Study, table: DatasetTable) -> str:
    rows = list(table.rows.values())
    interval, cells = rows[0].interval, [cell for row in rows for cell in row.cells.values()]
    recipe = cells[0].run["cell"]
    versions = sorted(
        {f"{name} {cell.run['versions'][name]}" for cell in cells for name in ("torch", "transformers")}
    )
    return (
        f"Test set of `{table.version}`: {interval.n_dialogues} dialogues, {interval.n_turns} annotated "
        f"turns. Backbone `{recipe['backbone']}`, {len(cells)} cells, "
        f"seeds {', '.join(map(str, study.seeds))}; emonet {recipe['emonet']}, {', '.join(versions)}."
    )


def _missing(study: Study, table: DatasetTable) -> list[Block]:
    """The rows and seeds of the study without a finished cell."""
    lines = [
        f"“{row.name}” lacks seed {', '.join(map(str, row.missing))}"
        for row in table.rows.values()
        if row.missing
    ]
    lines += [f"“{name}” has no finished cell" for name in table.absent]
    if not lines:
        return []
    note = "" if study.reference in table.rows else " Without the reference there are no differences."
    return [
        Text(f"**Missing:** {'; '.join(lines)}. Differences are over the seeds that both rows have.{note}")
    ]


def _rows_blocks(study: Study) -> list[Block]:
    """The preset and the settings of each row."""
    lines = [
        [row.name, f"`{row.preset}`", _settings(row.config), _settings(row.training)]
        for row in study.rows.values()
    ]
    about = "Preset and what differs from it. Each cell's `run.json` has all of it."
    return [
        Heading(2, "The rows"),
        Text(about),
        Table(["row", "preset", "config", "training"], lines, text_columns=4),
    ]


def _settings(fields: dict[str, object]) -> str:
    return " ".join(f"`{name}={value}`" for name, value in fields.items()) or "–"


def _p(p: float) -> str:
    """A p value as a table cell."""
    return p_text(p).removeprefix("= ")
