"""Turns as HTML: who said what, with which emotion, how probable, and what else it may
be.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .analysis import Analysis, Part
from .palette import Look


def turn_list(analysis: Analysis, part: Part, explain: bool = True) -> str:
    """The turns of a part. Every turn can be reached as `#turn-N`; its button `Why?`
    carries the turn's place in `data-why`.
    """
    looks = analysis.looks
    rows = [_turn(turn, part.first + place, looks, explain) for place, turn in enumerate(part.turns)]
    return f'<ol class="emo-turns" start="{part.first + 1}" aria-label="Turns with their emotions">{"".join(rows)}</ol>'


def legend(looks: Mapping[str, Look]) -> str:
    """Symbol and colour of each label."""
    return (
        '<p class="emo-legend" aria-label="Emotions">'
        + " ".join(chip(label, look) for label, look in looks.items())
        + "</p>"
    )


def chip(label: str, look: Look, score: float | None = None) -> str:
    """A label in its colours, with its symbol and probability."""
    percent = "" if score is None else f" <span>{score:.0%}</span>"
    sign = f'<span aria-hidden="true">{look.symbol}</span>'
    return f'<span class="emo-chip" style="{colours(look)}">{sign} {escape(label)}{percent}</span>'


def colours(look: Look) -> str:
    """The custom properties that the style sheet paints with."""
    return f"--emo:{look.colour};--ink:{look.ink}"


def bars(scores: Mapping[str, float], looks: Mapping[str, Look]) -> str:
    """All probabilities, each as a bar with its number."""
    rows = [
        f'<li style="{colours(looks[label])}"><span class="emo-name"><span aria-hidden="true">{looks[label].symbol}</span> '
        f'{escape(label)}</span><span class="emo-track"><span class="emo-bar" style="width:{score:.1%}"></span></span>'
        f'<span class="emo-number">{score:.1%}</span></li>'
        for label, score in scores.items()
    ]
    return f'<ul class="emo-bars">{"".join(rows)}</ul>'


def _turn(turn: Mapping[str, Any], place: int, looks: Mapping[str, Look], explain: bool) -> str:
    look = looks[turn["label"]]
    others: Sequence[tuple[str, float]] = list(turn["scores"].items())[1:3]
    runners_up = ", ".join(f"{label} {score:.0%}" for label, score in others)
    text = escape(turn["text"]) or "<i>(says nothing)</i>"
    why = (
        f'<button type="button" class="emo-why" data-why="{place}" aria-label="Why turn {place + 1}?">Why?</button>'
        if explain
        else ""
    )
    return (
        f'<li id="turn-{place + 1}" class="emo-turn" style="{colours(look)}">'
        f'<div class="emo-head"><span class="emo-place">{place + 1}</span> <b>{escape(turn["speaker"])}</b> '
        f"{chip(turn['label'], look, turn['score'])}</div>"
        f'<p class="emo-text">{text}</p>'
        f'<div class="emo-foot"><details><summary>or {runners_up or "nothing else"}</summary>'
        f"{bars(turn['scores'], looks)}</details>{why}</div></li>"
    )
