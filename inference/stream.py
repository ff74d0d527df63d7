"""Predict a stream of dialogues: results in order, memory bounded by a look-ahead."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import numpy as np
import torch

from ..dialogue.names import Speakers
from ..dialogue.open_dialogue import OpenDialogue
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import clean_text, recent_history, turn_text
from ..processing_emonet import EmoNetProcessor
from .predict import EmotionModel, TurnProcessor, memory_vectors, predict_logits

LOOK_AHEAD = 2048  # turns that are sorted by length together
FIRST_LOOK = 16  # the first rows come early; the look-ahead doubles from here
_TURNS_AT_ONCE = 512  # of a long dialogue

Turns = Iterable[Mapping[str, Any]]


def predict_stream(
    model: EmotionModel,
    processor: TurnProcessor,
    dialogues: Iterable[Turns],
    batch_size: int = 16,
    look_ahead: int = LOOK_AHEAD,
    alone: bool = False,
    speakers: Speakers = "auto",
    history: Mapping[str, Sequence[str]] | None = None,
    first_look: int = FIRST_LOOK,
) -> Iterator[list[dict[str, Any]]]:
    """Predict `label`, `score` and `scores` of every turn, in order, as soon as computed.

    The results are those of `predict_dialogues` on all dialogues. In memory are the
    windows of the look-ahead and, with `speaker_memory="corpus"`, the last
    `memory_window` utterances of every person. A dialogue may be of any length: its
    windows are predicted as they fill. Only a context module over sequences of single
    turns (`context_mode="per_turn"`) and prompts need all turns of a dialogue first.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        dialogues: Iterables of `{"speaker", "text"}`; each is read to its end before the
            next one.
        batch_size: Windows of one pass.
        look_ahead: How many turns to read before they are predicted.
        alone: Whether no dialogue is part of a later one's history.
        speakers: Who is a person, see [`speaker_kinds`]; give a decision on all names,
            where some that are read later should help to decide.
        history: What persons said before the first dialogue, by name, oldest first; read
            with `speaker_memory="corpus"` only, and by no prompted model.
        first_look: How many turns to read before the first are predicted; the number
            doubles up to `look_ahead`.

    Yields:
        The results of the next turns, across dialogues.
    """
    if hasattr(model, "stream_dialogues"):  # a prompted model: each turn needs the one before
        for result in model.stream_dialogues(dialogues, processor, alone, speakers):
            yield [result]
        return
    encoder = cast(EmoNetProcessor, processor)  # of any other model
    windows: list[dict[str, Any]] = []
    turns, enough = 0, min(first_look, look_ahead)
    for window in _windows(encoder, dialogues, alone, speakers, history or {}):
        windows.append(window)
        turns += len(window["speaker_ids"]) - window["read_from"]
        if turns >= enough:
            yield _results(model, encoder, windows, batch_size)
            windows, turns, enough = [], 0, min(2 * enough, look_ahead)
    if windows:
        yield _results(model, encoder, windows, batch_size)


class _Utterance:
    """What a speaker said, for the memory; its vector is encoded when first read."""

    def __init__(self, text: str):
        self.text = text
        self.vector: np.ndarray | None = None


def _windows(
    processor: EmoNetProcessor,
    dialogues: Iterable[Turns],
    alone: bool,
    speakers: Speakers,
    before: Mapping[str, Sequence[str]],
) -> Iterator[dict[str, Any]]:
    """Encode dialogues; `memory_index` of a window holds utterances instead of rows."""
    config = processor.config
    history: dict[str, deque[_Utterance]] = {}
    names = SpeakerNames(processor.speakers, speakers)
    if config.speaker_memory == "corpus":
        for name, texts in recent_history(before, config.memory_window).items():
            history[name] = deque(map(_Utterance, map(clean_text, texts)), maxlen=config.memory_window)
    for turns in dialogues:
        if alone:
            names, history = SpeakerNames(processor.speakers, speakers), {}
        names.start_dialogue()
        dialogue = OpenDialogue()
        for block, last in _blocks(turns):
            named = names.next_turns(block)
            memory = []
            if config.speaker_memory != "none":
                for index, turn in enumerate(named, dialogue.turns):
                    earlier = history.setdefault(turn["speaker"], deque(maxlen=config.memory_window))
                    memory.append(list(earlier))
                    earlier.append(_Utterance(turn_text(turn, index)))
            yield from processor.encode_next(dialogue, named, memory, last)
        kept = history if config.speaker_memory == "corpus" else {}
        # `The Waiter` of the next dialogue is another person.
        history = {name: earlier for name, earlier in kept.items() if not names.kinds.is_role(name)}


def _blocks(turns: Turns) -> Iterator[tuple[list[Mapping[str, Any]], bool]]:
    """Cut a dialogue into blocks, and tell the last one."""
    rest = iter(turns)
    block = list(islice(rest, _TURNS_AT_ONCE))
    while following := list(islice(rest, _TURNS_AT_ONCE)):
        yield block, False
        block = following
    yield block, True


def _results(
    model: EmotionModel, processor: EmoNetProcessor, windows: list[dict[str, Any]], batch_size: int
) -> list[dict[str, Any]]:
    memory = None
    if processor.config.speaker_memory != "none":
        memory = _memory_table(model, processor, windows)
    logits = predict_logits(model, processor, [[window] for window in windows], memory, batch_size)
    return processor.labels_of(np.concatenate(logits))


@torch.inference_mode()
def _memory_table(
    model: EmotionModel, processor: EmoNetProcessor, windows: list[dict[str, Any]]
) -> np.ndarray:
    """The vectors (N, H) of the utterances in `windows`, which then hold rows of it."""
    rows: dict[_Utterance, int] = {}
    for window in windows:
        window["memory_index"] = [
            [rows.setdefault(utterance, len(rows)) for utterance in earlier]
            for earlier in window["memory_index"]
        ]
    new = [utterance for utterance in rows if utterance.vector is None]
    tokens = processor.encode_memory([utterance.text for utterance in new])
    encoder: Any = getattr(model, "emonet", model)  # an engine encodes utterances itself
    for indices, vectors in memory_vectors(encoder, processor, tokens):
        for index, vector in zip(indices, vectors, strict=True):
            new[index].vector = vector.copy()  # a view would keep the whole batch
    table = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    for utterance, row in rows.items():
        table[row] = utterance.vector
    return table
