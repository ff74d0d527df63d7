"""Predict a stream of dialogues: results in order, memory bounded by a look-ahead."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, cast

import numpy as np
import torch

from ..dialogue.names import Speakers
from ..dialogue.open_dialogue import OpenDialogue
from ..dialogue.spellings import SpeakerNames
from ..dialogue.turns import clean_text, recent_history, turn_text
from ..processing_emonet import EmoNetProcessor
from .ahead import one_ahead
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

    The results are those of `predict_dialogues` on all dialogues. While the model
    computes, a thread reads and tokenizes the next turns. In memory are the windows of
    up to three times the look-ahead and, with `speaker_memory="corpus"`, the last
    `memory_window` utterances of every person. A dialogue may be of any length: its
    windows are predicted as they fill. Only a context module over sequences of single
    turns (`context_mode="per_turn"`) and prompts need all turns of a dialogue first.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        dialogues: Iterables of `{"speaker", "text"}`, read in the thread; each is read to
            its end before the next one.
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
    windows = _windows(encoder, dialogues, alone, speakers, history or {})
    with closing(one_ahead(_look_aheads(encoder, windows, first_look, look_ahead))) as prepared:
        for block in prepared:
            yield _results(model, encoder, block, batch_size)


class _Utterance:
    """What a speaker said, for the memory: tokenized and encoded when first read."""

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[int] | None = None
        self.vector: np.ndarray | None = None


def _look_aheads(
    processor: EmoNetProcessor, windows: Iterable[dict[str, Any]], first_look: int, look_ahead: int
) -> Iterator[list[dict[str, Any]]]:
    """Collect the windows of ever more turns, up to `look_ahead`."""
    block: list[dict[str, Any]] = []
    turns, enough = 0, min(first_look, look_ahead)
    for window in windows:
        block.append(window)
        turns += len(window["speaker_ids"]) - window["read_from"]
        if turns >= enough:
            yield _with_tokens(processor, block)
            block, turns, enough = [], 0, min(2 * enough, look_ahead)
    if block:
        yield _with_tokens(processor, block)


def _with_tokens(processor: EmoNetProcessor, windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tokenize the utterances that the turns of `windows` remember, each once."""
    remembered = {
        utterance: None for window in windows for row in window["memory_index"] for utterance in row
    }
    new = [utterance for utterance in remembered if utterance.tokens is None]
    for utterance, tokens in zip(new, processor.encode_memory([item.text for item in new]), strict=True):
        utterance.tokens = tokens
    return windows


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
        speaking: dict[str, None] = {}
        for block, last in _blocks(turns):
            named = names.next_turns(block)
            speaking.update((turn["speaker"], None) for turn in named)
            memory = []
            if config.speaker_memory != "none":
                for index, turn in enumerate(named, dialogue.turns):
                    earlier = history.setdefault(turn["speaker"], deque(maxlen=config.memory_window))
                    memory.append(list(earlier))
                    earlier.append(_Utterance(turn_text(turn, index)))
            yield from processor.encode_next(dialogue, named, memory, last)
        for name in speaking:  # `The Waiter` of the next dialogue is another person
            if config.speaker_memory != "corpus" or names.kinds.is_role(name):
                history.pop(name, None)


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
    tokens = [utterance.tokens or [] for utterance in new]
    encoder: Any = getattr(model, "emonet", model)  # an engine encodes utterances itself
    for indices, vectors in memory_vectors(encoder, processor, tokens):
        for index, vector in zip(indices, vectors, strict=True):
            new[index].vector = vector.copy()  # a view would keep the whole batch
    table = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    for utterance, row in rows.items():
        table[row] = utterance.vector
    return table
