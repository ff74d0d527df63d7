"""Write a report's sections: emotions, groups of turns, speakers, calibration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.analysis import (
    by_speaker,
    figures_by,
    most_confused_pair,
    pair_confusion,
    position_groups,
    score_matrix,
    shift_groups,
    speaker_groups,
)
from ..evaluation.calibration import Calibration, calibration, fit_temperature, with_temperature
from ..evaluation.compare import METRIC_TITLES
from ..evaluation.predictions import Row, annotated, label_ids, turn_key
from .cells import FinishedCell
from .document import Block, Heading, Picture, Table, Text
from .plots import plot_confusions, plot_learning_curves, plot_per_class, plot_reliability
from .table import DatasetTable, RowResult, mean_sd

_THESIS_PAIR = ("Joyful", "Powerful")
_TOP_SPEAKERS = 10


def percent(values: Sequence[float], digits: int = 2) -> str:
    """Mean ± standard deviation of fractions, in percent."""
    mean, sd = mean_sd(values)
    return f"{100 * mean:.{digits}f}" + ("" if sd is None else f" ± {100 * sd:.{digits}f}")


def emotion_pictures(table: DatasetTable, reference: str, folder: Path, prefix: str) -> list[Picture]:
    """F1 by emotion and confusion matrices."""
    f1 = {
        row.name: np.array(
            [[cell.test["per_class"][label]["f1"] for label in table.labels] for cell in row.cells.values()]
        )
        for row in table.rows.values()
    }
    support = next(iter(next(iter(table.rows.values())).cells.values())).test["per_class"]
    plot_per_class(folder / f"{prefix}-emotions.png", f1, table.labels, reference)
    plot_confusions(
        folder / f"{prefix}-confusion.png",
        {row.name: row.counts.sum((0, 1)) for row in table.rows.values()},
        table.labels,
    )
    turns = ", ".join(f"{label} {support[label]['support']}" for label in table.labels)
    line = f"; the line is “{reference}”" if reference in table.rows else ""
    return [
        Picture(f"{folder.name}/{prefix}-emotions.png", f"F1 by emotion{line}. Annotated turns: {turns}."),
        Picture(
            f"{folder.name}/{prefix}-confusion.png",
            "Confusion matrices, percent of each annotated emotion's turns, all seeds.",
        ),
    ]


def curves_picture(table: DatasetTable, reference: str, folder: Path, prefix: str) -> Picture:
    """Learning curves on validation."""
    title = METRIC_TITLES[table.metric]
    epochs = {row.name: [cell.run["epochs"] for cell in row.cells.values()] for row in table.rows.values()}
    plot_learning_curves(folder / f"{prefix}-curves.png", epochs, reference, table.metric, title)
    about = "every seed thin, their mean thick" + (
        f"; dashed is “{reference}”" if reference in table.rows else ""
    )
    return Picture(
        f"{folder.name}/{prefix}-curves.png",
        f"{title[:1].upper()}{title[1:]} on validation by epoch, {about}. Dotted, at the right: the loss on "
        "validation; weighted losses have another scale.",
    )


def groups_section(table: DatasetTable, reference: str) -> list[Block]:
    """Weighted F1 by kinds of turns, the most confused pair, the most frequent speakers.

    Empty if the turns have no speakers.
    """
    rows = {row.name: [cell.predictions() for cell in row.cells.values()] for row in table.rows.values()}
    sample = next(iter(rows.values()))[0]
    if not all(row.get("speaker") for row in sample):
        return []
    first = next(iter(next(iter(table.rows.values())).cells.values()))
    known = (first.speakers() or {}).get("speakers", [])
    groupings = {
        "emotion shift": (shift_groups(sample), "shift"),
        "same emotion": (shift_groups(sample), "same"),
        "first turn": (position_groups(sample), "first"),
        "later turn": (position_groups(sample), "later"),
        "seen speaker": (speaker_groups(sample, known), "seen"),
        "unseen speaker": (speaker_groups(sample, known), "unseen"),
    }
    counts = {
        title: sum(
            group == name and row["emotion"] is not None for group, row in zip(groups, sample, strict=True)
        )
        for title, (groups, name) in groupings.items()
    }
    present = {title: value for title, value in groupings.items() if counts[title]}
    lines = []
    for name, seeds in rows.items():
        cells = [
            percent(
                [
                    figures_by(_in_order(seed, sample), groups, table.labels)[group]["weighted_f1"]
                    for seed in seeds
                ],
                1,
            )
            for groups, group in present.values()
        ]
        lines.append([name, *cells])
    best = table.best
    return [
        Heading(3, "Kinds of turns"),
        Text(
            "Weighted F1 in percent, mean ± deviation over seeds. **Emotion shift**: the speaker's annotated "
            "emotion is another than in their own previous turn in the dialogue; **same emotion**: it isn't "
            "(a speaker's first turn is neither). **First turn**: it opens its dialogue. **Seen speaker**: "
            "has an id from the training turns; roles such as `The Waiter` never do."
        ),
        Table(["row", *(f"{title} (n = {counts[title]})" for title in present)], lines),
        *_pair_blocks(rows, table.labels, reference if reference in rows else best.name),
        *_speaker_blocks(
            {name: rows[name] for name in dict.fromkeys((reference, best.name)) if name in rows}, table.labels
        ),
    ]


def calibration_section(table: DatasetTable, reference: str, folder: Path, prefix: str) -> list[Block]:
    """Calibration error before and after temperature scaling, and reliability."""
    lines, plotted = [], {}
    for row in table.rows.values():
        results = [_calibrated(cell, table.labels) for cell in row.cells.values()]
        before, after, temperature = zip(*results, strict=True)
        mean, sd = mean_sd(temperature)
        lines.append(
            [
                row.name,
                percent([result.ece for result in before], 1),
                f"{mean:.2f}" + ("" if sd is None else f" ± {sd:.2f}"),
                percent([result.ece for result in after], 1),
            ]
        )
        if row.name in (reference, table.best.name):
            plotted[row.name] = _pooled(row, table.labels)
    plot_reliability(folder / f"{prefix}-reliability.png", plotted)
    return [
        Heading(3, "Calibration"),
        Text(
            "Expected calibration error on test in percent (Guo et al. 2017; 15 bins of equal width). The "
            "temperature is fitted on each seed's validation turns; above 1, the model is too sure of itself."
        ),
        Table(["row", "ECE (%)", "temperature", "ECE with it (%)"], lines),
        Picture(
            f"{folder.name}/{prefix}-reliability.png",
            "Reliability on test, the turns of all seeds together, without temperature.",
        ),
    ]


def _pair_blocks(
    rows: dict[str, list[list[dict[str, Any]]]], labels: Sequence[str], reference: str
) -> list[Block]:
    """Confusion of the thesis's pair, or of the reference's most confused pair."""
    has_thesis_pair = all(label in labels for label in _THESIS_PAIR)
    pooled = [row for seed in rows[reference] for row in seed]
    first, second = _THESIS_PAIR if has_thesis_pair else most_confused_pair(pooled, labels)
    lines = []
    for name, seeds in rows.items():
        pairs = [pair_confusion(seed, first, second) for seed in seeds]
        lines.append(
            [
                name,
                percent([pair["first"]["as_other"] for pair in pairs], 1),
                percent([pair["second"]["as_other"] for pair in pairs], 1),
                percent([pair["first"]["right"] for pair in pairs], 1),
                percent([pair["second"]["right"] for pair in pairs], 1),
            ]
        )
    reason = (
        "the pair that the thesis names" if has_thesis_pair else f"the pair that “{reference}” confuses most"
    )
    header = [
        "row",
        f"{first} taken for {second} (%)",
        f"{second} taken for {first} (%)",
        f"{first} right (%)",
        f"{second} right (%)",
    ]
    return [
        Heading(3, f"{first} and {second}"),
        Text(f"Percent of the annotated turns, {reason}."),
        Table(header, lines),
    ]


def _speaker_blocks(rows: dict[str, list[list[dict[str, Any]]]], labels: Sequence[str]) -> list[Block]:
    """Weighted F1 of the speakers with the most turns."""
    figures = {name: [by_speaker(seed, labels) for seed in seeds] for name, seeds in rows.items()}
    first = next(iter(figures.values()))[0]
    speakers = list(first)[:_TOP_SPEAKERS]
    lines = [
        [
            speaker,
            str(first[speaker]["n"]),
            *(percent([seed[speaker]["weighted_f1"] for seed in seeds], 1) for seeds in figures.values()),
        ]
        for speaker in speakers
    ]
    which_rows = (
        "the reference and the row that is best on validation"
        if len(rows) > 1
        else "the row that is best on validation"
    )
    return [
        Heading(3, "Speakers"),
        Text(f"Weighted F1 in percent of the {len(speakers)} who say most on test: {which_rows}."),
        Table(["speaker", "turns", *figures], lines),
    ]


def _calibrated(cell: FinishedCell, labels: Sequence[str]) -> tuple[Calibration, Calibration, float]:
    """Calibration on test without and with temperature, and the temperature itself.

    The temperature is fitted on validation.
    """
    test, gold = _scores(cell.predictions("test"), labels)
    temperature = fit_temperature(*_scores(cell.predictions("validation"), labels))
    return calibration(test, gold), calibration(with_temperature(test, temperature), gold), temperature


def _pooled(row: RowResult, labels: Sequence[str]) -> Calibration:
    cells = [_scores(cell.predictions("test"), labels) for cell in row.cells.values()]
    scores, gold = zip(*cells, strict=True)
    return calibration(np.concatenate(scores), np.concatenate(gold))


def _scores(rows: Sequence[Row], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, C) and label ids (N,) of the annotated rows."""
    scored = annotated(rows)
    return score_matrix(scored, labels), label_ids(scored, labels)[0]


def _in_order(rows: Sequence[Row], sample: Sequence[Row]) -> list[Row]:
    """`rows` in the order of `sample`."""
    by_turn = {turn_key(row): row for row in rows}
    return [by_turn[turn_key(row)] for row in sample]
