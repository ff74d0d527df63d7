"""Write the report's section on episode folds, beside the public test set."""

from pathlib import Path
from typing import Any

from ..evaluation.compare import METRIC_TITLES, p_text
from .document import Block, Heading, Picture, Table, Text
from .plots import BLUE, ORANGE, from_reference, plot_forest
from .sections import percent
from .table import DatasetTable, RowResult, as_json, with_interval

FoldTables = tuple[DatasetTable, DatasetTable]  # over episodes, over dialogues


def fold_blocks(
    folds: int, tables: FoldTables, public: DatasetTable | None, reference: str, file: Path | None
) -> list[Block]:
    """The rows by episode folds, with those of the public test set.

    Args:
        folds: The number of folds.
        tables: The tables over episodes and over dialogues.
        public: The public test set's table.
        reference: The row that the others are compared with.
        file: The forest plot's PNG, which is written; None for no plot.
    """
    episodes, dialogues = tables
    title = METRIC_TITLES[episodes.metric]
    first, of_dialogues = (next(iter(table.rows.values())).interval for table in tables)
    about = (
        f"Every one of {first.n_turns:,} annotated turns is scored once, by a model that saw nothing of its "
        f"episode: {folds} folds of {first.n_dialogues} whole episodes ({of_dialogues.n_dialogues} "
        "dialogues). An eighth of a fold's training episodes chooses the epoch. Intervals and p are over "
        "episodes, and where named so over dialogues; p (Holm) is corrected over the rows."
    )
    absent = ", ".join(f"“{name}”" for name in episodes.absent)
    header = ["row", "seeds", title, "95 %, episodes", "95 %, dialogues"]
    header += ["difference [95 %, episodes]", "p", "p (Holm)", "difference [95 %, dialogues]"]
    beside = ["public test set", "difference [95 %, dialogues]"] if public else []
    lines = [
        [
            row.name,
            f"{len(row.cells)} of {len(row.cells) + len(row.missing)}"
            if row.missing
            else str(len(row.cells)),
            percent(row.figures[episodes.metric]),
            _interval(row),
            _interval(dialogues.rows[name]),
            *_compared(row, reference),
            _compared(dialogues.rows[name], reference)[0],
            *_public(public, name, reference),
        ]
        for name, row in episodes.rows.items()
    ]
    blocks: list[Block] = [
        Heading(3, "By folds of whole episodes"),
        Text(about),
        *([Text(f"**Missing:** no seed of {absent} has all its folds.")] if absent else []),
        Table([*header, *beside], lines),
    ]
    if file is not None and any(row.against for row in episodes.rows.values()):
        drawn = [from_reference("episode folds", episodes, BLUE)]
        if public:
            drawn.append(from_reference("public test set", public, ORANGE))
        axis = f"{title} minus that of “{reference}” (points)"
        plot_forest(file, drawn, axis, f"{episodes.version}: difference, 95 % interval, p (Holm)")
        caption = f"Differences from “{reference}” in points of {title}; filled where p (Holm) is below 0.05."
        blocks.append(Picture(f"{file.parent.name}/{file.name}", caption))
    if episodes.pairs:
        pairs = [
            [
                pair.first,
                pair.second,
                with_interval(pair.difference),
                *(p_text(p).removeprefix("= ") for p in (pair.difference.p_permutation, pair.p_holm)),
                with_interval(other.difference),
            ]
            for pair, other in zip(episodes.pairs, dialogues.pairs, strict=True)
        ]
        names = [
            "row",
            "minus",
            "difference [95 %, episodes]",
            "p",
            "p (Holm)",
            "difference [95 %, dialogues]",
        ]
        blocks += [Text(f"One row minus another, in points of {title}."), Table(names, pairs, text_columns=2)]
    return blocks


def folds_as_json(folds: int, tables: FoldTables) -> dict[str, Any]:
    """Both tables as `table.json` holds them, in fractions."""
    by_episode, by_dialogue = map(as_json, tables)
    return {
        "folds": folds,
        "n_episodes": by_episode.pop("n_dialogues"),
        **by_episode,
        "split": "episode folds",
        "over_dialogues": {name: by_dialogue[name] for name in ("n_dialogues", "rows", "pairs")},
    }


def _interval(row: RowResult) -> str:
    return f"[{100 * row.interval.low:.2f}, {100 * row.interval.high:.2f}]"


def _compared(row: RowResult, reference: str) -> list[str]:
    """Difference, p and corrected p."""
    if row.against is None or row.p_holm is None:
        return ["reference" if row.name == reference else "–", "–", "–"]
    values = (row.against.p_permutation, row.p_holm)
    return [with_interval(row.against), *(p_text(p).removeprefix("= ") for p in values)]


def _public(table: DatasetTable | None, name: str, reference: str) -> list[str]:
    if table is None:
        return []
    if name not in table.rows:
        return ["–", "–"]
    row = table.rows[name]
    return [f"{percent(row.figures[table.metric])} {_interval(row)}", _compared(row, reference)[0]]
