"""Each speaker's emotions over the turns: as a grid for the page, and as a picture to keep."""

import io
from collections.abc import Mapping
from html import escape
from typing import Any

from .analysis import Analysis, Part
from .palette import Look
from .turn_list import colours

# A picture is at most 30 inches wide at 150 dots an inch, whatever the length of the script.
_DPI, _WIDEST = 150, 30.0


def timeline(analysis: Analysis, part: Part) -> str:
    """A row for every speaker of a part, a column for every turn; a cell shows its emotion and leads to the turn."""
    looks = analysis.looks
    speakers = list(dict.fromkeys(turn["speaker"] for turn in part.turns))
    names = "".join(
        f'<span class="emo-lane" style="grid-row:{row}">{escape(name)}</span>'
        for row, name in enumerate(speakers, start=2)
    )
    ticks = "".join(
        f'<span class="emo-tick" style="grid-column:{place + 2}">{part.first + place + 1}</span>'
        for place in range(len(part.turns))
        if place == 0 or (part.first + place + 1) % 5 == 0
    )
    cells = "".join(
        _cell(turn, part.first + place, place, speakers, looks) for place, turn in enumerate(part.turns)
    )
    return (
        '<div class="emo-scroll" role="region" tabindex="0" aria-label="Timeline of each speaker\'s emotions">'
        f'<div class="emo-timeline" style="--turns:{len(part.turns)}">{ticks}{names}{cells}</div></div>'
    )


def _cell(
    turn: Mapping[str, Any], number: int, column: int, speakers: list[str], looks: Mapping[str, Look]
) -> str:
    look = looks[turn["label"]]
    said = escape(f"{number + 1}. {turn['speaker']}: {turn['label']} {turn['score']:.0%}")
    place = f"grid-row:{speakers.index(turn['speaker']) + 2};grid-column:{column + 2}"
    return (
        f'<a class="emo-cell" href="#turn-{number + 1}" tabindex="-1" style="{place};{colours(look)}" title="{said}" '
        f'aria-label="{said}"><span aria-hidden="true">{look.symbol}</span>'
        f'<span class="emo-fill" style="width:{turn["score"]:.0%}"></span></a>'
    )


def timeline_picture(analysis: Analysis, title: str) -> bytes:
    """The timeline of all dialogues as PNG; a line stands between two dialogues."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks, speakers = analysis.looks, analysis.speakers()
    turns = [turn for _, dialogue in analysis.dialogues for turn in dialogue]
    width = min(max(7.0, 1.8 + 0.24 * len(turns)), _WIDEST)
    marker = max(5.0, min(130.0, (60 * (width - 1.8) / max(len(turns), 1)) ** 2))
    figure = Figure(figsize=(width, 1.7 + 0.36 * len(speakers)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, look in looks.items():
        points = [
            (place, speakers.index(turn["speaker"]))
            for place, turn in enumerate(turns, start=1)
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
    for _, dialogue in analysis.dialogues[:-1]:
        border += len(dialogue)
        axes.axvline(border, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(speakers)), [_short(name) for name in speakers], parse_math=False)
    axes.set_ylim(len(speakers) - 0.4, -0.6)
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
