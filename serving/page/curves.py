"""Draw how a speaker's probabilities change over the turns, as SVG."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .analysis import Analysis, Part
from .palette import Look
from .turn_list import colours

_COLUMN, _HEIGHT = 34, 92  # of a turn, in pixels, as in the style sheet
_TOP, _BOTTOM = 10, 82  # of the curves: 100% and 0%
_FAINT = 0.2  # an emotion that is never as probable as this is drawn faintly

Point = tuple[int, float]


def curves(name: str, analysis: Analysis, part: Part) -> str:
    """Return a panel as wide as the part's columns in the timeline.

    A curve joins one emotion's probabilities at the speaker's turns; a symbol marks the
    most probable emotion of each turn.

    Args:
        name: The speaker.
        analysis: The labelled script.
        part: Whose turns are drawn.
    """
    looks = analysis.looks
    own = [(column, turn) for column, turn in enumerate(part.turns) if turn["speaker"] == name]
    lines = {
        label: [(column, float(turn["scores"].get(label, 0.0))) for column, turn in own] for label in looks
    }
    highest = {label: max((score for _, score in points), default=0.0) for label, points in lines.items()}
    lowest = {label: min((score for _, score in points), default=0.0) for label, points in lines.items()}
    ranges = ", ".join(f"{label} {lowest[label]:.0%} to {highest[label]:.0%}" for label in looks)
    text = escape(f"{name}'s probabilities over {len(own)} turn{'s' * (len(own) != 1)}: {ranges}")
    width = _COLUMN * len(part.turns)
    grid = "".join(
        f'<line x1="0" x2="{width}" y1="{_y(level)}" y2="{_y(level)}" class="emo-grid"/>'
        for level in (0.0, 0.5, 1.0)
    )
    drawn = "".join(
        _line(lines[label], looks[label], faint=highest[label] < _FAINT)
        for label in sorted(looks, key=lambda label: highest[label])
    )
    marks = "".join(
        _mark(column, turn, part.first + column + 1, looks[turn["label"]]) for column, turn in own
    )
    return f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{text}">{grid}{drawn}{marks}</svg>'


def _line(points: Sequence[Point], look: Look, faint: bool) -> str:
    """Draw a curve in its colour, on a darker one that keeps light colours visible."""
    path = " ".join(f"{_x(column)},{_y(score)}" for column, score in points)
    return (
        f'<g style="{colours(look)}" class="emo-{"faint" if faint else "clear"}">'
        f'<polyline class="emo-edge" points="{path}"/><polyline class="emo-line" points="{path}"/></g>'
    )


def _mark(column: int, turn: Mapping[str, Any], number: int, look: Look) -> str:
    title = escape(f"{number}. {turn['label']} {turn['score']:.0%}")
    return (
        f'<text class="emo-mark" style="{colours(look)}" x="{_x(column)}" y="{_y(turn["score"])}">'
        f"{look.symbol}<title>{title}</title></text>"
    )


def _x(column: int) -> int:
    return _COLUMN * column + _COLUMN // 2


def _y(score: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * score, 1)
