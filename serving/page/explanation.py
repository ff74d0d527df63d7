"""Show an attribution as HTML: the explained turn and the others' influence."""

from html import escape

from ..attribution import REACH, Attribution
from .analysis import Analysis
from .turn_list import chip, colours

_SLIGHT = 0.005  # half a percentage point


def explanation(analysis: Analysis, dialogue: int, attribution: Attribution) -> str:
    """Return the explained turn, and a bar for each turn that was left out.

    A bar to the right supports the label, a bar to the left opposes it.

    Args:
        analysis: The labelled script.
        dialogue: Index of the dialogue of the explained turn.
        attribution: What was measured.
    """
    turns, look = analysis.dialogues[dialogue][1], analysis.looks[attribution.label]
    turn = turns[attribution.index]
    strongest = max((abs(influence.change) for influence in attribution.influences), default=0.0)
    rows = []
    for influence in attribution.influences:
        if influence.index is None:
            number, speaker, text = "", turn["speaker"], "all they said in earlier dialogues"
        else:
            other = turns[influence.index]
            number, speaker = str(influence.index + 1), other["speaker"]
            text = other["text"] or "(says nothing)"
        width = 50 * abs(influence.change) / strongest if strongest else 0
        side = "for" if influence.change >= 0 else "against"
        slight = " emo-slight" if abs(influence.change) < _SLIGHT else ""
        rows.append(
            f'<li class="emo-influence{slight}"><span class="emo-index">{number}</span>'
            f'<span class="emo-quote"><b>{escape(speaker)}</b> {escape(text)}</span>'
            f'<span class="emo-scale"><span class="emo-{side}" style="width:{width:.1f}%"></span></span>'
            f'<span class="emo-number">{_points(influence.change)}</span></li>'
        )
    return (
        f'<div style="{colours(look)}"><div class="emo-turn"><div class="emo-head">'
        f'<span class="emo-index">{attribution.index + 1}</span> '
        f"<b>{escape(turn['speaker'])}</b> {chip(attribution.label, look, attribution.score)}</div>"
        f'<p class="emo-text">{escape(turn["text"]) or "<i>(says nothing)</i>"}</p></div>'
        f"<p>{_summary(attribution, strongest)}</p>"
        f"{_list(rows)}"
        '<p class="emo-note"><b>How this is found: occlusion.</b> Each turn is left out once, and the model '
        "is asked again. The number is what that takes from the probability of "
        f"{escape(attribution.label)}, in percentage points: to the right (+), the turn speaks for it; "
        "to the left (−), against it. Attention weights are not used. Turns can matter together without "
        f"mattering alone.{_reach(attribution)}</p></div>"
    )


def _list(rows: list[str]) -> str:
    return f'<ol class="emo-influences">{"".join(rows)}</ol>' if rows else ""


def _summary(attribution: Attribution, strongest: float) -> str:
    if not attribution.influences:
        return "Nothing was said before: the label rests on this turn alone."
    if strongest < _SLIGHT:
        return "No earlier turn matters alone: the label rests on what this turn says."
    first = max(attribution.influences, key=lambda influence: abs(influence.change))
    what = "What they said in earlier dialogues" if first.index is None else f"Turn {first.index + 1}"
    without = f"{attribution.score - first.change:.0%}"
    return f"<b>{what}</b> matters most: without it, {escape(attribution.label)} would have {without}."


def _reach(attribution: Attribution) -> str:
    return f" Only the {REACH} turns before this one were tried." if attribution.first else ""


def _points(change: float) -> str:
    sign = "+" if change >= 0 else "−"
    return f"{sign}{abs(100 * change):.1f}"
