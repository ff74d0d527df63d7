"""Which earlier turns a prediction rests on: each is left out in turn, and the change is
measured (occlusion).

Li, Monroe & Jurafsky (2016), "Understanding Neural Networks through Representation
Erasure". It asks the model itself what it would say, where attention weights only tell
where it looked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dialogue.turns import clean_text, dialogue_memory_index, turn_text
from ..inference.predict import Report, predict_logits
from ..processing_emonet import EmoNetProcessor
from ..prompted.prefix_reader import PrefixReader
from ..prompted.processing import PromptedProcessor
from ..prompted.prompts import LabelledTurn

REACH = 40  # turns before the explained one that are tried
_NOTHING = -1  # no turn's place


@dataclass(frozen=True)
class Influence:
    """What leaving something out takes from the probability of the label.

    Attributes:
        place: The turn, or None for what the speaker said in earlier dialogues.
        change: Probability with it, less the probability without it; positive where it
            speaks for the label.
    """

    place: int | None
    change: float


@dataclass(frozen=True)
class Attribution:
    """Why turn `place` has its `label`, whose probability is `score`; the turns from
    `first` on were tried.
    """

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
    """Leave out each of the `REACH` turns before turn `place` (a model that sees the
    future: after it too), and look again.

    A turn that is left out is gone from the context and from its speaker's memory; all
    else stays, the borders of the model's window too. With `history` (cleaned names and
    texts) and a memory of the corpus, what the speaker said in earlier dialogues is left
    out once as well.

    Raises:
        IndexError: for a turn that isn't there.
    """
    if not 0 <= place < len(turns):
        raise IndexError(f"no turn {place} among {len(turns)}")
    causal = processor.config.causal
    history = dict(history or {}) if processor.config.speaker_memory == "corpus" else {}
    first, end = max(0, place - REACH), place + 1 if causal else min(len(turns), place + REACH + 1)
    turns = turns[: place + 1] if causal else turns
    others = [other for other in range(first, end) if other != place]
    dialogue = _Dialogue(processor, turns, place, history)
    places: list[int | None] = [*others]
    windows = [dialogue.window(), *(dialogue.window(without=other) for other in others)]
    if clean_text(str(turns[place]["speaker"])) in history:
        places.append(None)
        windows.append(dialogue.window(forgotten=True))

    memory = processor.encode_memory(dialogue.texts) if processor.config.speaker_memory != "none" else None
    logits = predict_logits(model, processor, [[window] for window, _ in windows], memory, report=report)
    scores = [
        processor.labels_of(rows[row : row + 1])[0]["scores"]
        for rows, (_, row) in zip(logits, windows, strict=True)
    ]
    label = max(scores[0], key=scores[0].__getitem__)
    influences = [
        Influence(other, scores[0][label] - without[label])
        for other, without in zip(places, scores[1:], strict=True)
    ]
    return Attribution(place, label, scores[0][label], first, influences)


def prompted_occlusion(
    model: Any,
    processor: PromptedProcessor,
    turns: Sequence[Mapping[str, Any]],
    place: int,
    felt: Sequence[tuple[int | None, LabelledTurn]] = (),
    report: Report | None = None,
) -> Attribution:
    """The same for a prompted model: a turn that is left out is gone from the prompt's
    window and from the trajectory.

    The window's borders stay, and so do biography and demonstrations.

    Args:
        felt: What the speaker said and felt before, oldest first, as the model itself
            said: place and turn, None as the place of earlier dialogues.
    """
    if not 0 <= place < len(turns):
        raise IndexError(f"no turn {place} among {len(turns)}")
    settings = processor.config.prompt_settings
    first, end = max(0, place - REACH), min(len(turns), place + 1 + settings.future_window)
    told = processor.prompt_facts(turns, place, clean_text(str(turns[place]["speaker"])))
    reader = PrefixReader(model.language_model, processor.tree)

    def scores(without: int | None) -> dict[str, float]:
        """Without that turn; None: without what the speaker said in earlier dialogues."""
        kept = [turn for number, turn in enumerate(turns[:end]) if number != without]
        at = place - (without in range(place))
        window = settings.window - (without in range(max(0, place - settings.window), place))
        trajectory = [turn for number, turn in felt if number != without]
        ids = processor.prompts.tokens(kept, at, trajectory=trajectory, window=window, **told)
        return processor.labels_of(reader.log_probabilities(ids).float().cpu().numpy()[None])[0]["scores"]

    whole = scores(_NOTHING)
    label = max(whole, key=whole.__getitem__)
    remembered = [number for number, _ in felt][-settings.trajectory :] if settings.trajectory else []
    influences = []
    for other in (number for number in range(first, end) if number != place):
        matters = other >= place - settings.window or other in remembered
        influences.append(Influence(other, whole[label] - scores(other)[label] if matters else 0.0))
        if report is not None:
            report("turns", len(influences), end - first - 1)
    if None in remembered:
        influences.append(Influence(None, whole[label] - scores(None)[label]))
    return Attribution(place, label, whole[label], first, influences)


class _Dialogue:
    """The window that reads out one turn of a dialogue, whole and with parts left out."""

    def __init__(
        self,
        processor: EmoNetProcessor,
        turns: Sequence[Mapping[str, Any]],
        place: int,
        history: Mapping[str, Sequence[str]],
    ):
        self.processor, self.turns, self.place, self.history = processor, turns, place, history
        self.texts = [text for said in history.values() for text in said] + [
            turn_text(turn) for turn in turns
        ]
        self.whole, self.row = self._reading(turns, place, self._memory(list(range(len(turns))), history))

    def window(self, without: int | None = None, forgotten: bool = False) -> tuple[dict[str, Any], int]:
        """An example for `collate`, and the explained turn's row among those that it
        reads.
        """
        kept = [turn for turn in range(len(self.turns)) if turn != without]
        memory = self._memory(kept, {} if forgotten else self.history)
        if (
            self.processor.config.context_mode == "per_turn"
        ):  # each turn's sequence is put together from those before it
            return self._reading([self.turns[turn] for turn in kept], kept.index(self.place), memory)
        window, first = dict(self.whole), self.whole["first_turn"]
        turns = range(first, first + len(window["speaker_ids"]))
        row = self.row
        if without is not None and without in turns:
            _cut(window, without - first)
            read = without >= first + window["read_from"]
            row -= read and without < self.place
            window["read_from"] -= not read
        window["memory_index"] = [rows for turn, rows in zip(kept, memory, strict=True) if turn in turns]
        return window, row

    def _reading(
        self, turns: Sequence[Mapping[str, Any]], place: int, memory: Sequence[Sequence[int]]
    ) -> tuple[dict[str, Any], int]:
        for window in self.processor.encode(turns, memory):
            row = place - window["first_turn"] - window["read_from"]
            if 0 <= row < len(window["speaker_ids"]) - window["read_from"]:
                return window, row
        raise AssertionError("every turn is read out by one window")

    def _memory(self, kept: Sequence[int], history: Mapping[str, Sequence[str]]) -> list[list[int]]:
        """For each kept turn its speaker's memory, as rows of `texts`."""
        said: dict[str, list[int]] = {}
        start = 0
        for name, utterances in self.history.items():
            said[name] = list(range(start, start + len(utterances))) if name in history else []
            start += len(utterances)
        index = dialogue_memory_index(
            [self.turns[turn] for turn in kept], self.processor.config.memory_window, start, said
        )
        return [[row if row < start else start + kept[row - start] for row in rows] for rows in index]


def _cut(window: dict[str, Any], turn: int) -> None:
    """Take a turn's tokens and rows out of a packed window."""
    tokens = [place for place, owner in enumerate(window["turn_ids"]) if owner != turn]
    for key in ("input_ids", "turn_ids", "read_mask"):
        window[key] = [window[key][place] for place in tokens]
    window["turn_ids"] = [owner - (owner > turn) for owner in window["turn_ids"]]
    for key in ("speaker_ids", "local_speaker_ids", "labels", "concepts"):
        if key in window:
            window[key] = [value for place, value in enumerate(window[key]) if place != turn]
