"""Draw each speaker's emotions and their curves over the turns, and a picture of them."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .analysis import Analysis, Part
from .curves import curves
from .palette import Look
from .turn_list import colours

_DPI = 150
_MAX_INCHES = 30.0  # the picture's width, however long the script is
MAX_ROWS = 20
MAX_CURVES = 6  # speakers


@dataclass(frozen=True)
class Rows:
    """The rows of a timeline, few enough to be drawn and read.

    Attributes:
        names: The speaker of each of the first rows, in order of appearance.
        others: How many speakers share the last row; 0 if there is none.
    """

    names: list[str]
    others: int

    @classmethod
    def of(cls, turns: Sequence[Mapping[str, Any]], rows: int = MAX_ROWS) -> "Rows":
        """Give the `rows` speakers with the most turns a row each, the others one."""
        counts = Counter(turn["speaker"] for turn in turns)
        kept = {name for name, _ in counts.most_common(rows)}
        return cls([name for name in counts if name in kept], len(counts) - len(kept))

    @property
    def index(self) -> dict[str, int]:
        """The row of each name; others have row `len(names)`."""
        return {name: row for row, name in enumerate(self.names)}

    @property
    def titles(self) -> list[str]:
        """The title of each row."""
        return [*self.names, *([f"{self.others} others"] if self.others else [])]

    @property
    def note(self) -> str:
        """A note for the reader if speakers share a row."""
        if not self.others:
            return ""
        who = f"other {self.others} share" if self.others > 1 else "other one has"
        return f"The {len(self.names)} speakers with the most turns have a row each; the {who} the last row."


def timeline(analysis: Analysis, part: Part) -> str:
    """Return a row for every speaker of a part, and a column for every turn.

    A cell shows the turn's emotion and links to the turn. Below are the curves of the
    `MAX_CURVES` speakers with the most turns, see `curves`.
    """
    looks, rows, drawn = analysis.looks, Rows.of(part.turns), Rows.of(part.turns, MAX_CURVES)
    names = "".join(
        f'<span class="emo-lane" style="grid-row:{row}">{escape(name)}</span>'
        for row, name in enumerate(rows.titles, start=2)
    )
    panels = "".join(
        f'<span class="emo-lane" style="grid-row:{row}">{escape(name)}</span>'
        f'<div class="emo-panel" style="grid-row:{row}">{curves(name, analysis, part)}</div>'
        for row, name in enumerate(drawn.names, start=len(rows.titles) + 2)
    )
    numbers = range(part.first + 1, part.first + len(part.turns) + 1)
    ticks = "".join(
        f'<span class="emo-tick" style="grid-column:{column}">{number}</span>'
        for column, number in enumerate(numbers, start=2)
        if column == 2 or number % 5 == 0
    )
    index = rows.index
    cells = "".join(
        _cell(
            turn,
            number,
            analysis.anchor(number),
            index.get(turn["speaker"], len(rows.names)) + 2,
            column,
            looks,
        )
        for column, (number, turn) in enumerate(zip(numbers, part.turns, strict=True), start=2)
    )
    note = (
        "Each line is an emotion, from 0% to 100%; its symbol marks the turns where it is the most probable."
    )
    if drawn.others:
        note += f" The {MAX_CURVES} speakers with the most turns have curves."
    label = "Timeline of each speaker's emotions and their probabilities"
    return (
        f'<div class="emo-scroll" role="region" tabindex="0" aria-label="{label}">'
        f'<div class="emo-timeline" style="--turns:{len(part.turns)}">'
        f"{ticks}{names}{cells}{panels}</div></div>"
        f'<p class="emo-note">{note} {rows.note}</p>'
    )


def _cell(
    turn: Mapping[str, Any], number: int, anchor: str, row: int, column: int, looks: Mapping[str, Look]
) -> str:
    look = looks[turn["label"]]
    label = escape(f"{number}. {turn['speaker']}: {turn['label']} {turn['score']:.0%}")
    style = f"grid-row:{row};grid-column:{column};{colours(look)}"
    return (
        f'<a class="emo-cell" href="#{anchor}" tabindex="-1" style="{style}" title="{label}" '
        f'aria-label="{label}"><span aria-hidden="true">{look.symbol}</span>'
        f'<span class="emo-fill" style="width:{turn["score"]:.0%}"></span></a>'
    )


def timeline_picture(analysis: Analysis, title: str) -> bytes:
    """Draw the timeline of all dialogues as PNG, with a line between two dialogues.

    Rows (see `Rows`) and width are bounded, and so is the cost.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks, turns = analysis.looks, analysis.turns
    rows = Rows.of(turns)
    index, titles = rows.index, rows.titles
    width = min(max(7.0, 1.8 + 0.24 * len(turns)), _MAX_INCHES)
    marker = max(5.0, min(130.0, (60 * (width - 1.8) / max(len(turns), 1)) ** 2))
    figure = Figure(figsize=(width, 1.7 + 0.36 * len(titles)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, look in looks.items():
        points = [
            (number, index.get(turn["speaker"], len(rows.names)))
            for number, turn in enumerate(turns, start=1)
            if turn["label"] == label
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.scatter(
            x,
            y,
            s=marker,
            c=look.colour,
            marker=look.marker,
            edgecolors="#222222",
            linewidths=0.6,
            label=label,
            zorder=3,
        )
    border = 0.5
    borders = []
    for _, dialogue in analysis.dialogues[:-1]:
        border += len(dialogue)
        borders.append(border)
    axes.vlines(borders, -0.6, len(titles) - 0.4, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(titles)), [_short(name) for name in titles], parse_math=False)
    axes.set_ylim(len(titles) - 0.4, -0.6)
    axes.set_xlim(0.3, len(turns) + 0.7)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.set_xlabel("turn")
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    handles, names = axes.get_legend_handles_labels()
    for handle in handles:
        handle.set_sizes([70])  # type: ignore[attr-defined]
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(len(names), max(3, int(width))),
        frameon=False,
        fontsize=9,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _short(name: str, longest: int = 24) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"
