"""Show turns as HTML: who said what, with which emotion, and how probable it is."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .analysis import Analysis, Part
from .palette import Look


def turn_list(analysis: Analysis, part: Part) -> str:
    """Return the turns of a part.

    A turn can be reached by `Analysis.anchor`; its button `Why?` has the turn's index in
    `data-why`.
    """
    looks = analysis.looks
    rows = "".join(
        _turn(turn, index, analysis.anchor(index + 1), looks)
        for index, turn in enumerate(part.turns, start=part.first)
    )
    label = "Turns with their emotions"
    return f'<ol class="emo-turns" start="{part.first + 1}" aria-label="{label}">{rows}</ol>'


def legend(looks: Mapping[str, Look]) -> str:
    """Return symbol and colour of each label, and what the bar in a cell means."""
    chips = " ".join(chip(label, look) for label, look in looks.items())
    look = next(iter(looks.values()))
    cell = (
        f'<span class="emo-cell" style="{colours(look)}" aria-hidden="true">{look.symbol}'
        '<span class="emo-fill" style="width:60%"></span></span>'
    )
    return (
        f'<p class="emo-legend" aria-label="Emotions">{chips}</p><p class="emo-key">{cell} The bar in a cell '
        "is how probable its emotion is: here 60%; a bar across the whole cell is 100%.</p>"
    )


def chip(label: str, look: Look, score: float | None = None) -> str:
    """Return a label in its colours, with its symbol and probability."""
    percent = "" if score is None else f" <span>{score:.0%}</span>"
    symbol = f'<span aria-hidden="true">{look.symbol}</span>'
    return f'<span class="emo-chip" style="{colours(look)}">{symbol} {escape(label)}{percent}</span>'


def colours(look: Look) -> str:
    """Return the custom properties that the style sheet uses."""
    return f"--emo:{look.colour};--ink:{look.ink}"


def bars(scores: Mapping[str, float], looks: Mapping[str, Look]) -> str:
    """Return all probabilities, each as a bar with its number."""
    rows = [
        f'<li style="{colours(looks[label])}"><span class="emo-name">'
        f'<span aria-hidden="true">{looks[label].symbol}</span> {escape(label)}</span>'
        f'<span class="emo-track"><span class="emo-bar" style="width:{score:.1%}"></span></span>'
        f'<span class="emo-number">{score:.1%}</span></li>'
        for label, score in scores.items()
    ]
    return f'<ul class="emo-bars">{"".join(rows)}</ul>'


def _turn(turn: Mapping[str, Any], index: int, anchor: str, looks: Mapping[str, Look]) -> str:
    look, number = looks[turn["label"]], index + 1
    others: Sequence[tuple[str, float]] = list(turn["scores"].items())[1:3]
    runners_up = ", ".join(f"{label} {score:.0%}" for label, score in others) or "nothing else"
    return (
        f'<li id="{anchor}" class="emo-turn" style="{colours(look)}">'
        f'<div class="emo-head"><span class="emo-index">{number}</span> <b>{escape(turn["speaker"])}</b> '
        f"{chip(turn['label'], look, turn['score'])}</div>"
        f'<p class="emo-text">{escape(turn["text"]) or "<i>(says nothing)</i>"}</p>'
        f'<div class="emo-foot"><details><summary>or {runners_up}</summary>'
        f"{bars(turn['scores'], looks)}</details>"
        f'<button type="button" class="emo-why" data-why="{index}" aria-label="Why turn {number}?">Why?'
        "</button></div></li>"
    )
