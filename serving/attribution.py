"""Which earlier turns a prediction rests on: each is left out in turn, and the change is measured (occlusion).

Li, Monroe & Jurafsky (2016), "Understanding Neural Networks through Representation Erasure". It asks the model itself what it
would say, where attention weights only tell where it looked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..inference import Report, predict_logits
from ..processing_emonet import EmoNetProcessor, dialogue_memory_index, turn_text

REACH = 40  # turns before the explained one that are tried


@dataclass(frozen=True)
class Influence:
    """What leaving something out takes from the probability of the label.

    Attributes:
        place: The turn, or None for what the speaker said in earlier dialogues.
        change: Probability with it, less the probability without it; positive where it speaks for the label.
    """

    place: int | None
    change: float


@dataclass(frozen=True)
class Attribution:
    """Why turn `place` has its `label`, whose probability is `score`; the turns from `first` on were tried."""

    place: int
    label: str
    score: float
    first: int
    influences: list[Influence]


def occlusion(
    model: Any,
    processor: EmoNetProcessor,
    turns: Sequence[Mapping[str, Any]],
    place: int,
    history: Mapping[str, Sequence[str]] | None = None,
    report: Report | None = None,
) -> Attribution:
    """Leave out each of the `REACH` turns before turn `place` (a model that sees the future: after it too), and look again.

    A turn that is left out is gone from the context and from its speaker's memory. With `history` (cleaned names and texts) and a
    memory of the corpus, all that the speaker said in earlier dialogues is left out once as well.

    Raises:
        IndexError: for a turn that isn't there.
    """
    if not 0 <= place < len(turns):
        raise IndexError(f"no turn {place} among {len(turns)}")
    corpus_scope = processor.config.speaker_memory == "corpus"
    history = history or {} if corpus_scope else {}
    first = max(0, place - REACH)
    end = place + 1 if processor.config.causal else min(len(turns), place + REACH + 1)
    others = [other for other in range(first, end) if other != place]
    turns = turns[: place + 1] if processor.config.causal else turns
    cases = [(list(range(len(turns))), history)]
    cases += [([kept for kept in range(len(turns)) if kept != other], history) for other in others]
    places: list[int | None] = [*others]
    speaker = str(turns[place]["speaker"])
    if " ".join(speaker.split()) in history:
        cases.append((list(range(len(turns))), {}))
        places.append(None)

    texts = [text for said in history.values() for text in said] + [turn_text(turn) for turn in turns]
    windows, rows = [], []
    for kept, said in cases:
        window, row = _window(processor, [turns[turn] for turn in kept], kept.index(place), kept, said, history)
        windows.append([window])
        rows.append(row)
    memory = processor.encode_memory(texts) if processor.config.speaker_memory != "none" else None
    logits = predict_logits(model, processor, windows, memory, report=report)
    scores = [processor.labels_of(window[row : row + 1])[0]["scores"] for window, row in zip(logits, rows, strict=True)]
    label = max(scores[0], key=scores[0].__getitem__)
    influences = [Influence(other, scores[0][label] - without[label]) for other, without in zip(places, scores[1:], strict=True)]
    return Attribution(place, label, scores[0][label], first, influences)


def _window(
    processor: EmoNetProcessor,
    turns: Sequence[Mapping[str, Any]],
    place: int,
    numbers: Sequence[int],
    said: Mapping[str, Sequence[str]],
    history: Mapping[str, Sequence[str]],
) -> tuple[dict[str, Any], int]:
    """The window that reads out turn `place` of `turns`, and its row among those that the window reads.

    `numbers` are the turns' places in the whole dialogue: the memory table holds `history` and then the whole dialogue.
    """
    offset = sum(map(len, history.values()))
    start, earlier = 0, {}
    for name, utterances in history.items():
        earlier[name] = list(range(start, start + len(utterances))) if name in said else []
        start += len(utterances)
    index = dialogue_memory_index(turns, processor.config.memory_window, offset, earlier)
    index = [[row if row < offset else offset + numbers[row - offset] for row in rows] for rows in index]
    for window in processor.encode(turns, index):
        row = place - window["first_turn"] - window["read_from"]
        if 0 <= row < len(window["speaker_ids"]) - window["read_from"]:
            return window, row
    raise AssertionError("every turn is read out by one window")
