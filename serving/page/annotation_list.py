"""Show turns as HTML to be labelled: one is current, and keys and buttons act on it."""

from collections.abc import Mapping
from html import escape

from ...evaluation.agreement import Agreement
from .analysis import Part
from .annotation import Annotation
from .palette import Look
from .turn_list import chip, colours

KEYS = "1234567890"
HELP = (
    "<kbd>↑</kbd> <kbd>↓</kbd> move between turns, <kbd>1</kbd>–<kbd>{last}</kbd> give a label, "
    "<kbd>Enter</kbd> confirms the one shown, <kbd>Del</kbd> takes a label back, <kbd>U</kbd> undoes, "
    "<kbd>N</kbd> goes to the least certain turn, <kbd>D</kbd> to the next disagreement."
)
NO_EVIDENCE = (
    "This model takes no known labels: yours are kept and exported, but it does not update what follows. A "
    "model of the preset emonet-labels does."
)


def annotation_list(annotation: Annotation, part: Part, jump: bool = True) -> str:
    """Return the turns of a part; the current one shows a button for each label.

    Args:
        annotation: The labels.
        part: The turns.
        jump: Whether to make `annotation.current` the current turn, wherever the visitor
            has moved since.
    """
    looks, dialogue, current = annotation.analysis.looks, part.dialogue, annotation.current
    shown = current[1] if current[0] == dialogue and current[1] in part.indices else part.first
    rows = "".join(_turn(annotation, (dialogue, index), index == shown, looks) for index in part.indices)
    flags = {"jump": jump, "unsaved": not annotation.is_exported, "least": annotation.least_certain_first}
    data = "".join(f" data-{name}" for name, is_set in flags.items() if is_set)
    return (
        f'<ol class="emo-turns emo-annotation" start="{part.first + 1}"{data} '
        f'aria-label="Turns to label">{rows}</ol>'
    )


def _turn(annotation: Annotation, turn: tuple[int, int], is_current: bool, looks: Mapping[str, Look]) -> str:
    row, (_, index) = annotation.row(turn), turn
    label, given, number = row["label"], annotation.given.get(turn), index + 1
    look = looks[label]
    marks = []
    if given is not None:
        before = annotation.predicted[turn]
        same = "confirmed" if before["label"] == given else f"predicted {before['label']}"
        marks.append(f'<span class="emo-mark-given">✓ given ({escape(same)}, {before["score"]:.0%})</span>')
    elif turn in annotation.changed:
        marks.append(f'<span class="emo-mark-changed">changed, was {escape(annotation.changed[turn])}</span>')
    other = annotation.other.get(turn)
    if annotation.other_name and other is not None:
        differs = given is not None and other != given
        sign = "≠" if differs else "=" if given is not None else ""
        kind = " emo-differs" if differs else ""
        marks.append(
            f'<span class="emo-mark-other{kind}">{sign} {escape(annotation.other_name)}: '
            f"{chip(other, looks[other])}</span>"
        )
    classes = ["emo-turn"]
    classes += ["emo-given"] if given is not None else []
    classes += ["emo-changed"] if given is None and turn in annotation.changed else []
    score = None if given is not None else row["score"]
    state = f"given {label}" if given is not None else f"predicted {label}, {row['score']:.0%}"
    name = escape(f"Turn {number}, {row['speaker']}: {row['text']} ({state})")
    return (
        f'<li class="{" ".join(classes)}" data-turn="{index}" data-shown="{list(looks).index(label)}" '
        f'style="{colours(look)}" aria-label="{name}" '
        f'tabindex="{0 if is_current else -1}"{" aria-current=true" if is_current else ""}>'
        f'<div class="emo-head"><span class="emo-index">{number}</span> <b>{escape(row["speaker"])}</b> '
        f"{chip(label, look, score)} {' '.join(marks)}</div>"
        f'<p class="emo-text">{escape(row["text"]) or "<i>(says nothing)</i>"}</p>'
        f"{_choices(annotation, turn, looks)}</li>"
    )


def _choices(annotation: Annotation, turn: tuple[int, int], looks: Mapping[str, Look]) -> str:
    """Return a button for each label, and one that takes a given label back."""
    given, scores = annotation.given.get(turn), annotation.row(turn)["scores"]
    if given is not None:
        scores = annotation.predicted[turn]["scores"]
    buttons = []
    for index, (label, look) in enumerate(looks.items()):
        key = f"<kbd>{KEYS[index]}</kbd> " if index < len(KEYS) else ""
        pressed = "true" if label == given else "false"
        buttons.append(
            f'<button type="button" tabindex="-1" data-label="{index}" aria-pressed="{pressed}" '
            f'style="{colours(look)}">{key}<span aria-hidden="true">{look.symbol}</span> {escape(label)} '
            f"<small>{scores[label]:.0%}</small></button>"
        )
    if given is not None:
        buttons.append(
            '<button type="button" tabindex="-1" data-label="-1"><kbd>Del</kbd> take back</button>'
        )
    return f'<div class="emo-choices" role="group" aria-label="Emotions">{"".join(buttons)}</div>'


def progress_line(annotation: Annotation) -> str:
    """Say how many turns are confirmed, and which is the least certain."""
    done, total = len(annotation.given), annotation.total
    least = annotation.least_certain()
    if least is None:
        following = "all turns have a label"
    else:
        place = f" of dialogue {least[0] + 1}" if len(annotation.analysis.dialogues) > 1 else ""
        score = annotation.row(least)["score"]
        following = f"next: turn {least[1] + 1}{place}, {score:.0%}"
    return (
        f'<div class="emo-progress"><label>{done} of {total} confirmed '
        f'<progress max="{total}" value="{done}"></progress></label> · {following}</div>'
    )


def agreement_line(found: Agreement | None) -> str:
    """Say how far the visitor and the second annotator agree."""
    if found is None:
        return ""
    [pair] = found.pairs
    if not pair.turns:
        facts = "no turn labelled by both yet"
    else:
        cohen, fleiss = (_kappa(kappa) for kappa in (pair.kappa, found.fleiss_kappa))
        facts = (
            f"agree on {pair.agreed} of {pair.turns} turns ({pair.agreed / pair.turns:.0%}), Cohen's kappa "
            f"{cohen}, Fleiss' kappa {fleiss}"
        )
    counts = "; ".join(
        f"{name}: {', '.join(f'{label} {count}' for label, count in labels.items()) or 'none'}"
        for name, labels in found.counts.items()
    )
    alone = f"only you {pair.only_first}, only {pair.second} {pair.only_second}"
    return (
        f'<p class="emo-agreement"><b>You and {escape(pair.second)}</b>: {facts}; {escape(alone)}.<br>'
        f'<span class="emo-note">{escape(counts)}</span></p>'
    )


def _kappa(kappa: float | None) -> str:
    return "undefined" if kappa is None else f"{kappa:.2f}"
