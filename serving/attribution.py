"""Measure which other turns a prediction rests on, by occlusion.

Each turn is left out once, and the change of the label's probability is measured (Li,
Monroe & Jurafsky 2016, "Understanding Neural Networks through Representation Erasure").
Attention weights only show where a model looked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ..dialogue.names import AUTO, SpeakerKinds, clean_name
from ..dialogue.turns import clean_text, dialogue_memory_index, turn_text
from ..inference.predict import EmotionModel, Report, predict_logits
from ..processing_emonet import EmoNetProcessor
from ..prompted.modeling import PromptedEmoNet
from ..prompted.prefix_reader import PrefixReader
from ..prompted.processing import PromptedProcessor
from ..prompted.prompts import LabelledTurn, SpeakerFacts

REACH = 40  # turns before the explained one that are left out
_NOTHING = -1  # the index of no turn

Turns = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Influence:
    """The part that one turn has in the probability of a label.

    Attributes:
        index: The turn's index in its dialogue; None for all that the speaker said in
            earlier dialogues.
        change: Probability with the turn minus probability without it; positive if the
            turn supports the label.
    """

    index: int | None
    change: float


@dataclass(frozen=True)
class Attribution:
    """Why a turn has its label.

    Attributes:
        index: The explained turn.
        label: Its most probable emotion.
        score: The probability of `label`.
        first: The first turn that was left out.
        influences: One for each turn that was left out.
    """

    index: int
    label: str
    score: float
    first: int
    influences: list[Influence]


def texts_before(dialogues: Iterable[Turns], kinds: SpeakerKinds = AUTO) -> dict[str, list[str]]:
    """Return what each person said in earlier dialogues, as a corpus memory holds it."""
    texts: dict[str, list[str]] = {}
    for turn in (turn for turns in dialogues for turn in turns):
        name = clean_name(turn["speaker"])
        if not kinds.is_role(name):
            texts.setdefault(name, []).append(clean_text(turn["text"]))
    return texts


def trajectory_before(
    dialogues: Sequence[Turns], index: int, kinds: SpeakerKinds = AUTO
) -> list[tuple[int | None, LabelledTurn]]:
    """Return what a speaker said and which emotion was predicted, before one turn.

    Args:
        dialogues: Labelled turns; the turn is in the last of the dialogues.
        index: The turn.
        kinds: Which speakers are roles of their dialogue.

    Returns:
        Index and turn, oldest first; the index is None in earlier dialogues.
    """
    *earlier, turns = dialogues
    name = clean_name(turns[index]["speaker"])
    known = () if kinds.is_role(name) else (turn for dialogue in earlier for turn in dialogue)
    before: list[tuple[int | None, Mapping[str, Any]]] = [(None, turn) for turn in known]
    before += enumerate(turns[:index])
    return [
        (other, LabelledTurn(turn["text"], turn["label"]))
        for other, turn in before
        if clean_name(turn["speaker"]) == name
    ]


def occlusion(
    model: EmotionModel,
    processor: EmoNetProcessor,
    turns: Turns,
    index: int,
    history: Mapping[str, Sequence[str]] | None = None,
    report: Report | None = None,
) -> Attribution:
    """Leave out each of the `REACH` turns before a turn and predict its emotion again.

    A model that sees the future has the `REACH` turns after it left out too. A turn that
    is left out is gone from the context and from its speaker's memory. All else stays,
    the borders of the model's window included.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        turns: The whole dialogue, each turn with `speaker` and `text`.
        index: The turn to explain.
        history: What speakers said in earlier dialogues, with cleaned names and texts. A
            model with a corpus memory has it left out once as a whole.
        report: Called after each pass of the model.

    Raises:
        IndexError: If there is no such turn.
    """
    if not 0 <= index < len(turns):
        raise IndexError(f"no turn {index} among {len(turns)}")
    causal = processor.config.causal
    history = dict(history or {}) if processor.config.speaker_memory == "corpus" else {}
    first, end = max(0, index - REACH), index + 1 if causal else min(len(turns), index + REACH + 1)
    turns = turns[: index + 1] if causal else turns
    others = [other for other in range(first, end) if other != index]
    dialogue = _Dialogue(processor, turns, index, history)
    occluded: list[int | None] = [*others]
    windows = [dialogue.window(), *(dialogue.window(without=other) for other in others)]
    if clean_name(str(turns[index]["speaker"])) in history:
        occluded.append(None)
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
        for other, without in zip(occluded, scores[1:], strict=True)
    ]
    return Attribution(index, label, scores[0][label], first, influences)


def prompted_occlusion(
    model: PromptedEmoNet,
    processor: PromptedProcessor,
    turns: Turns,
    index: int,
    trajectory: Callable[[int], Sequence[tuple[int | None, LabelledTurn]]] = lambda index: (),
    report: Report | None = None,
) -> Attribution:
    """Explain a turn as `occlusion` does, for a prompted model.

    A turn that is left out is gone from the prompt's window and from trajectories. The
    window's borders, biographies and demonstrations stay.

    Args:
        model: The prompted model.
        processor: The model's processor.
        turns: The whole dialogue, each turn with `speaker` and `text`.
        index: The turn to explain.
        trajectory: Returns the earlier turns of a turn's speaker with the emotions that
            the model predicted, oldest first: see `trajectory_before`.
        report: Called after each turn that was left out.

    Raises:
        IndexError: If there is no such turn.
    """
    if not 0 <= index < len(turns):
        raise IndexError(f"no turn {index} among {len(turns)}")
    settings = processor.config.prompt_settings
    first, end = max(0, index - REACH), min(len(turns), index + 1 + settings.future_window)
    begin = index - processor.prompts.earlier_turns(index)
    demonstrations = processor.demonstrations_of(turns, index)
    reader = PrefixReader(model.language_model, processor.tree)

    names = [clean_name(str(turn["speaker"])) for turn in turns]

    @cache
    def known(line: int) -> tuple[str, Sequence[tuple[int | None, LabelledTurn]]]:
        return processor.biography(turns, line, names[line]), trajectory(line)

    def scores(without: int | None) -> dict[str, float]:
        """Leave out one turn; None leaves out the speaker's earlier dialogues."""
        lines = [other for other in range(end) if other != without]
        kept = [turns[other] for other in lines]

        def facts(line: int) -> SpeakerFacts:
            biography, before = known(lines[line])
            remembered = [
                replace(turn, line=None if other is None else lines.index(other))
                for other, turn in before
                if other != without or (other is None and names[lines[line]] != names[index])
            ]
            return SpeakerFacts(biography, remembered)

        kept_index = lines.index(index)
        window = index - begin - (without in range(begin, index))
        tokens = processor.prompts.tokens(kept, kept_index, facts, demonstrations, window)
        logits = reader.log_probabilities(tokens).float().cpu().numpy()[None]
        found: dict[str, float] = processor.labels_of(logits)[0]["scores"]
        return found

    whole = scores(_NOTHING)
    label = max(whole, key=whole.__getitem__)
    lines = range(begin, end) if settings.template > 1 else [index]
    in_prompt = {
        other
        for line in (lines if settings.trajectory else ())
        for other, _ in known(line)[1][-settings.trajectory :]
        if other is not None or names[line] == names[index]
    }
    influences = []
    for other in (other for other in range(first, end) if other != index):
        read = other >= begin or other in in_prompt
        influences.append(Influence(other, whole[label] - scores(other)[label] if read else 0.0))
        if report is not None:
            report("turns", len(influences), end - first - 1)
    if None in in_prompt:
        influences.append(Influence(None, whole[label] - scores(None)[label]))
    return Attribution(index, label, whole[label], first, influences)


class _Dialogue:
    """The window that reads out one turn of a dialogue, whole or with parts left out."""

    def __init__(
        self, processor: EmoNetProcessor, turns: Turns, index: int, history: Mapping[str, Sequence[str]]
    ):
        self.processor, self.turns, self.index, self.history = processor, turns, index, history
        self.texts = [text for texts in history.values() for text in texts]
        self.texts += [turn_text(turn) for turn in turns]
        self.whole, self.row = self._reading(turns, index, self._memory(list(range(len(turns))), history))

    def window(self, without: int | None = None, forgotten: bool = False) -> tuple[dict[str, Any], int]:
        """Return an example for `collate`, and the row of the explained turn in it."""
        kept = [other for other in range(len(self.turns)) if other != without]
        memory = self._memory(kept, {} if forgotten else self.history)
        if self.processor.config.context_mode == "per_turn":
            # A turn's sequence is built from the turns before it: build it anew.
            return self._reading([self.turns[other] for other in kept], kept.index(self.index), memory)
        window, first = dict(self.whole), self.whole["first_turn"]
        in_window = range(first, first + len(window["speaker_ids"]))
        row = self.row
        if without is not None and without in in_window:
            _cut(window, without - first)
            is_read = without >= first + window["read_from"]
            row -= is_read and without < self.index
            window["read_from"] -= not is_read
        window["memory_index"] = [
            rows for other, rows in zip(kept, memory, strict=True) if other in in_window
        ]
        return window, row

    def _reading(
        self, turns: Turns, index: int, memory: Sequence[Sequence[int]]
    ) -> tuple[dict[str, Any], int]:
        for window in self.processor.encode(turns, memory):
            row = index - window["first_turn"] - window["read_from"]
            if 0 <= row < len(window["speaker_ids"]) - window["read_from"]:
                return window, row
        raise AssertionError("every turn is read out by one window")

    def _memory(self, kept: Sequence[int], history: Mapping[str, Sequence[str]]) -> list[list[int]]:
        """Return the memory of each kept turn's speaker, as rows of `texts`."""
        earlier: dict[str, list[int]] = {}
        start = 0
        for name, texts in self.history.items():
            earlier[name] = list(range(start, start + len(texts))) if name in history else []
            start += len(texts)
        rows = dialogue_memory_index(
            [self.turns[turn] for turn in kept], self.processor.config.memory_window, start, earlier
        )
        return [[row if row < start else start + kept[row - start] for row in of_turn] for of_turn in rows]


def _cut(window: dict[str, Any], turn: int) -> None:
    """Remove a turn's tokens and rows from a packed window."""
    tokens = [token for token, owner in enumerate(window["turn_ids"]) if owner != turn]
    for key in ("input_ids", "turn_ids", "read_mask"):
        window[key] = [window[key][token] for token in tokens]
    window["turn_ids"] = [owner - (owner > turn) for owner in window["turn_ids"]]
    for key in ("speaker_ids", "local_speaker_ids", "labels", "concepts"):
        if key in window:
            window[key] = [value for row, value in enumerate(window[key]) if row != turn]
