"""An attribution as HTML: the explained turn, and what each earlier one does for its
label.
"""

from html import escape

from .analysis import Analysis
from .attribution import REACH, Attribution
from .turn_list import chip, colours

_SLIGHT = 0.005  # half a percentage point


def explanation(analysis: Analysis, dialogue: int, found: Attribution) -> str:
    """Bars to the right speak for the label, bars to the left against it."""
    turns, look = analysis.dialogues[dialogue][1], analysis.looks[found.label]
    turn = turns[found.place]
    strongest = max((abs(influence.change) for influence in found.influences), default=0.0)
    rows = []
    for influence in found.influences:
        if influence.place is None:
            place, who, text = "", turn["speaker"], "all they said in earlier dialogues"
        else:
            other = turns[influence.place]
            place, who, text = str(influence.place + 1), other["speaker"], other["text"] or "(says nothing)"
        width = 50 * abs(influence.change) / strongest if strongest else 0
        side = "for" if influence.change >= 0 else "against"
        slight = " emo-slight" if abs(influence.change) < _SLIGHT else ""
        rows.append(
            f'<li class="emo-influence{slight}"><span class="emo-place">{place}</span>'
            f'<span class="emo-quote"><b>{escape(who)}</b> {escape(text)}</span>'
            f'<span class="emo-scale"><span class="emo-{side}" style="width:{width:.1f}%"></span></span>'
            f'<span class="emo-number">{_points(influence.change)}</span></li>'
        )
    return (
        f'<div style="{colours(look)}"><div class="emo-turn"><div class="emo-head">'
        f'<span class="emo-place">{found.place + 1}</span> '
        f"<b>{escape(turn['speaker'])}</b> {chip(found.label, look, found.score)}</div>"
        f'<p class="emo-text">{escape(turn["text"]) or "<i>(says nothing)</i>"}</p></div>'
        f"<p>{_summary(found, strongest)}</p>"
        f'<ol class="emo-influences">{"".join(rows)}</ol>'
        '<p class="emo-note"><b>How this is found: occlusion.</b> Each turn is left out once, and the model is asked again. '
        f"The number is what that takes from the probability of {escape(found.label)}, in percentage points: "
        "to the right (+), the turn speaks for it; to the left (−), against it. "
        "Attention weights are not used. Turns can matter together without mattering alone."
        f"{_limits(found)}</p></div>"
    )


def _summary(found: Attribution, strongest: float) -> str:
    if not found.influences:
        return "Nothing was said before: the label rests on this turn alone."
    if strongest < _SLIGHT:
        return "No earlier turn matters alone: the label rests on what this turn says."
    first = max(found.influences, key=lambda influence: abs(influence.change))
    what = "What they said in earlier dialogues" if first.place is None else f"Turn {first.place + 1}"
    return f"<b>{what}</b> matters most: without it, {escape(found.label)} would have {found.score - first.change:.0%}."


def _limits(found: Attribution) -> str:
    return f" Only the {REACH} turns before this one were tried." if found.first else ""


def _points(change: float) -> str:
    sign = "+" if change >= 0 else "−"
    return f"{sign}{abs(100 * change):.1f}"
