"""Predict a stream of dialogues: results in order, memory bounded by a look-ahead."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np
import torch

from ..dialogue.names import SpeakerKinds, Speakers
from ..dialogue.open_dialogue import OpenDialogue
from ..dialogue.spellings import SpeakerNames, with_one_name_each
from ..dialogue.turns import clean_text, recent_history, turn_text
from ..processing_emonet import EmoNetProcessor
from .ahead import blocks_ahead
from .known_labels import Known, known_in, known_of, with_source
from .predict import EmotionModel, Report, TurnProcessor, memory_vectors, predict_logits
from .unknown_characters import warn_of_unknown_characters

LOOK_AHEAD = 2048  # turns that are sorted by length together
FIRST_LOOK = 16  # the first rows come early; the look-ahead doubles from here
_TURNS_AT_ONCE = 512  # of a long dialogue

Turns = Iterable[Mapping[str, Any]]
Block = tuple[Sequence[Mapping[str, Any]], bool]  # turns, and whether the dialogue ends there


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
    use_later_labels: bool = False,
    has_known: bool = False,
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
        dialogues: Iterables of `{"speaker", "text"}`, with `known_emotion` where it is
            known, read in the thread; each is read to its end before the next one.
        batch_size: Windows of one pass.
        look_ahead: How many turns to read before they are predicted.
        alone: Whether no dialogue is part of a later one's history.
        speakers: Who is a person, see [`speaker_kinds`]; give a decision on all names,
            where some that are read later should help to decide.
        history: What persons said before the first dialogue, by name, oldest first; read
            with `speaker_memory="corpus"` only, and by no prompted model.
        first_look: How many turns to read before the first are predicted; the number
            doubles up to `look_ahead`.
        use_later_labels: Whether a `known_emotion` also tells about earlier turns; all
            turns of a dialogue are then read first.
        has_known: Whether results have a `source`: `given` or `predicted`.

    Yields:
        The results of the next turns, across dialogues.
    """
    if hasattr(model, "stream_dialogues"):  # a prompted model: each turn needs the one before
        without_known = (_without_known(turns, processor) for turns in dialogues)
        for result in model.stream_dialogues(without_known, processor, alone, speakers):
            yield [result]
        return
    encoder = cast(EmoNetProcessor, processor)  # of any other model
    windows = _streamed_windows(encoder, dialogues, alone, speakers, history or {}, use_later_labels)
    with closing(blocks_ahead(windows, _new_turns, look_ahead, first_look)) as prepared:
        for block in prepared:
            results = _results(model, encoder, block, batch_size)
            if has_known:
                known = [values for window in block for values in known_in(window)]
                results = with_source(results, known, encoder.config.label_names)
            yield results


@dataclass
class EncodedDialogues:
    """Dialogues that are encoded, for `predict_encoded`.

    Attributes:
        turns: The number of turns of each dialogue.
        windows: The windows of all of them, in order.
        known: The known labels of each dialogue, as of `known_of`.
    """

    turns: list[int]
    windows: list[dict[str, Any]]
    known: list[Known]


def encode_dialogues(
    processor: EmoNetProcessor,
    dialogues: Sequence[Sequence[Mapping[str, Any]]],
    history: Mapping[str, Sequence[str]] | None = None,
    speakers: Speakers = "auto",
    use_later_labels: bool = False,
) -> EncodedDialogues:
    """Encode dialogues without a model, so that a thread can do it ahead.

    Args:
        processor: The model's processor.
        dialogues: Lists of `{"speaker", "text"}`, with `known_emotion` where it is known.
            Without `history` they are each other's, in order of time.
        history: What the speakers of each dialogue said before it, by name, oldest first.
        speakers: Who is a person, see [`speaker_kinds`].
        use_later_labels: Whether a `known_emotion` also tells about earlier turns.
    """
    known = known_of(processor, dialogues)
    turns = [(turn, index) for dialogue in dialogues for index, turn in enumerate(dialogue)]
    texts = [turn_text(turn, index) for turn, index in turns]
    texts += [clean_text(text) for utterances in (history or {}).values() for text in utterances]
    warn_of_unknown_characters(processor.tokenizer, texts)
    histories = None if history is None else [history] * len(dialogues)
    named, earlier, kinds = with_one_name_each(dialogues, histories, processor.known, speakers)
    if earlier is None:
        blocks = (_blocks(turns, use_later_labels) for turns in named)
        windows = [*_windows(processor, blocks, kinds, use_later=use_later_labels)]
    else:
        windows = [
            window
            for turns, own in zip(named, earlier, strict=True)
            for window in _windows(
                processor, [_blocks(turns, use_later_labels)], kinds, own, use_later_labels
            )
        ]
    return EncodedDialogues([len(turns) for turns in dialogues], windows, known)


def predict_encoded(
    model: EmotionModel,
    processor: EmoNetProcessor,
    encoded: Sequence[EncodedDialogues],
    batch_size: int = 16,
    report: Report | None = None,
) -> list[list[list[dict[str, Any]]]]:
    """Predict `label`, `score` and `scores` of encoded dialogues.

    Their windows share passes, sorted by length.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        encoded: What `encode_dialogues` returned, any number of times.
        batch_size: Windows of one pass.
        report: See [`Report`].

    Returns:
        For each of `encoded` and each of its dialogues, the results of its turns.
    """
    windows = [window for item in encoded for window in item.windows]
    results = iter(_results(model, processor, windows, batch_size, report) if windows else ())
    names = processor.config.label_names
    predicted = []
    for item in encoded:
        found = [list(islice(results, turns)) for turns in item.turns]
        pairs = zip(found, item.known, strict=True)
        predicted.append([with_source(rows, known, names) if known else rows for rows, known in pairs])
    return predicted


class _Utterance:
    """What a speaker said, for the memory: tokenized and encoded when first read."""

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[int] | None = None
        self.vector: np.ndarray | None = None


def _new_turns(window: Mapping[str, Any]) -> int:
    """How many turns a window labels."""
    return len(window["speaker_ids"]) - int(window["read_from"])


def _streamed_windows(
    processor: EmoNetProcessor,
    dialogues: Iterable[Turns],
    alone: bool,
    speakers: Speakers,
    history: Mapping[str, Sequence[str]],
    use_later: bool = False,
) -> Iterator[dict[str, Any]]:
    """Encode dialogues whose speakers are named as they come."""
    names = SpeakerNames(processor.known, speakers)
    if not alone:  # with `use_later`, a label may be known of any later turn
        named = (_named(turns, names, whole=use_later) for turns in dialogues)
        yield from _windows(processor, named, names.kinds, history, use_later)
        return
    for turns in dialogues:
        blocks = _named(turns, names, whole=use_later)
        yield from _windows(processor, [blocks], names.kinds, use_later=use_later)
        names = SpeakerNames(processor.known, speakers)


def _windows(
    processor: EmoNetProcessor,
    dialogues: Iterable[Iterable[Block]],
    kinds: SpeakerKinds,
    before: Mapping[str, Sequence[str]] | None = None,
    use_later: bool = False,
) -> Iterator[dict[str, Any]]:
    """Encode dialogues in order of time, of which each speaker has one name.

    Yields:
        Windows whose `memory_index` holds utterances, which have tokens, instead of rows.
    """
    config = processor.config
    history: dict[str, deque[_Utterance]] = {}
    if config.speaker_memory == "corpus":
        for name, texts in recent_history(before, config.memory_window).items():
            history[name] = deque(map(_Utterance, map(clean_text, texts)), maxlen=config.memory_window)
    for blocks in dialogues:
        dialogue = OpenDialogue(use_later)
        speaking: dict[str, None] = {}
        for block, last in blocks:
            speaking.update((turn["speaker"], None) for turn in block)
            memory = []
            if config.speaker_memory != "none":
                for index, turn in enumerate(block, dialogue.turns):
                    earlier = history.setdefault(turn["speaker"], deque(maxlen=config.memory_window))
                    memory.append(list(earlier))
                    earlier.append(_Utterance(turn_text(turn, index)))
            windows = processor.encode_next(dialogue, block, memory, last)
            _tokenize_memory(processor, windows)
            yield from windows
        for name in speaking:  # `The Waiter` of the next dialogue is another person
            if config.speaker_memory != "corpus" or kinds.is_role(name):
                history.pop(name, None)


def _tokenize_memory(processor: EmoNetProcessor, windows: Iterable[Mapping[str, Any]]) -> None:
    """Tokenize the utterances that the turns of `windows` remember, each once."""
    remembered = {
        utterance: None for window in windows for row in window["memory_index"] for utterance in row
    }
    new = [utterance for utterance in remembered if utterance.tokens is None]
    for utterance, tokens in zip(new, processor.encode_memory([item.text for item in new]), strict=True):
        utterance.tokens = tokens


def _named(turns: Turns, names: SpeakerNames, whole: bool = False) -> Iterator[Block]:
    """Cut a dialogue into blocks, in which every speaker has one name."""
    names.start_dialogue()
    for block, last in _blocks(turns, whole):
        yield names.next_turns(block), last


def _without_known(turns: Turns, processor: TurnProcessor) -> Iterator[Mapping[str, Any]]:
    """Refuse turns with a known label, as they come."""
    for turn in turns:
        known_of(processor, [[turn]])
        yield turn


def _blocks(turns: Turns, whole: bool = False) -> Iterator[Block]:
    """Cut a dialogue into blocks (or one), and tell the last one."""
    rest, size = iter(turns), None if whole else _TURNS_AT_ONCE
    block = list(islice(rest, size))
    while following := list(islice(rest, size)):
        yield block, False
        block = following
    yield block, True


def _results(
    model: EmotionModel,
    processor: EmoNetProcessor,
    windows: list[dict[str, Any]],
    batch_size: int,
    report: Report | None = None,
) -> list[dict[str, Any]]:
    return processor.labels_of(window_logits(model, processor, windows, batch_size, report))


def window_logits(
    model: EmotionModel,
    processor: EmoNetProcessor,
    windows: list[dict[str, Any]],
    batch_size: int = 16,
    report: Report | None = None,
) -> np.ndarray:
    """Predict the logits (N, C) of the turns of windows of `encode_dialogues`."""
    memory = None
    if processor.config.speaker_memory != "none":
        windows, memory = _with_memory_table(model, processor, windows, report)
    dialogues = [[window] for window in windows]
    logits = predict_logits(model, processor, dialogues, memory, batch_size, report=report)
    return np.concatenate(logits)


@torch.inference_mode()
def _with_memory_table(
    model: EmotionModel, processor: EmoNetProcessor, windows: list[dict[str, Any]], report: Report | None
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Encode the utterances that `windows` remember.

    Returns:
        The windows with rows of the table in place of utterances, and the table (N, H).
    """
    rows: dict[_Utterance, int] = {}
    windows = [
        {
            **window,
            "memory_index": [
                [rows.setdefault(utterance, len(rows)) for utterance in earlier]
                for earlier in window["memory_index"]
            ],
        }
        for window in windows
    ]
    new = [utterance for utterance in rows if utterance.vector is None]
    tokens = [utterance.tokens or [] for utterance in new]
    encoder: Any = getattr(model, "emonet", model)  # an engine encodes utterances itself
    done = 0
    for indices, vectors in memory_vectors(encoder, processor, tokens):
        for index, vector in zip(indices, vectors, strict=True):
            new[index].vector = vector.copy()  # a view would keep the whole batch
        done += len(indices)
        if report is not None:
            report("memory", done, len(new))
    table = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    for utterance, row in rows.items():
        table[row] = utterance.vector
    return windows, table
