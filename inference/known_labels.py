"""Show known labels to the windows of a dialogue, and give them back as they came."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..dialogue.known_emotions import KNOWN_EMOTION, NO_EVIDENCE
from ..errors import EmoNetError
from ..layers.label_evidence import REACH

Known = Sequence[list[float] | None]


def known_of(processor: Any, dialogues: Iterable[Sequence[Mapping[str, Any]]]) -> list[Known]:
    """The known labels of dialogues.

    Args:
        processor: The model's.
        dialogues: Lists of turns.

    Returns:
        For each dialogue the distribution (C) of each turn, None where none is known; an
        empty list for a dialogue of which no label is known.

    Raises:
        EmoNetError: for what is no label or distribution, or a model that takes none.
    """
    found: list[Known] = []
    for turns in dialogues:
        # What is no dialogue is refused later, with its place.
        if not any(isinstance(turn, Mapping) and turn.get(KNOWN_EMOTION) is not None for turn in turns or ()):
            found.append([])
            continue
        if not hasattr(processor, "known_labels"):
            raise EmoNetError(NO_EVIDENCE)
        known = processor.known_labels(turns)
        found.append(known if any(values is not None for values in known) else [])
    return found


def with_source(
    results: Sequence[Mapping[str, Any]], known: Known, label_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Give known labels back as they came: `source` is then `given`, else `predicted`.

    Args:
        results: `label`, `score` and `scores` of each turn.
        known: The distribution (C) of each turn, None where none is known.
        label_names: The labels of the model.
    """
    return [
        {**result, "source": "predicted"} if values is None else given_result(values, label_names)
        for result, values in zip(results, known, strict=True)
    ]


def given_result(values: Sequence[float], label_names: Sequence[str]) -> dict[str, Any]:
    """The result of a turn whose distribution (C) is known."""
    best = max(range(len(values)), key=values.__getitem__)
    scores = dict(zip(label_names, map(float, values), strict=True))
    return {"label": label_names[best], "score": float(values[best]), "scores": scores, "source": "given"}


def known_in(window: Mapping[str, Any]) -> Known:
    """The known distribution (C) of each turn that a window labels, or None."""
    known = {turn: values for turn, _, values in window.get("known", ())}
    return [known.get(turn) for turn in range(window["read_from"], len(window["speaker_ids"]))]


def show_labels(
    windows: Sequence[Mapping[str, Any]], known: Known, use_later: bool = False
) -> list[dict[str, Any]]:
    """Copy the windows of a dialogue with the labels that are known of its turns.

    Args:
        windows: Those of `EmoNetProcessor.encode`; tokens and vectors are shared.
        known: The distribution (C) of each turn, None where none is known.
        use_later: Whether labels of later turns tell about earlier ones.
    """
    speakers: dict[int, int] = {}
    for window in windows:
        speakers.update(enumerate(window["local_speaker_ids"], window["first_turn"]))
    found = [(index, speakers[index], values) for index, values in enumerate(known) if values is not None]
    copies = []
    for window in windows:
        first, end = window["first_turn"], window["first_turn"] + len(window["speaker_ids"])
        around = [
            (index - first, speaker, values)
            for index, speaker, values in found
            if first - REACH <= index < end + REACH
        ]
        copies.append({**window, "known": around, "use_later": use_later})
    return copies
