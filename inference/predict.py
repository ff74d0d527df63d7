"""Predictions for whole dialogues: windows in length-sorted batches, one result for every
turn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from ..dialogue.names import is_role
from ..dialogue.turns import clean_text, recent_history, turn_speaker, turn_text
from ..processing_emonet import EmoNetProcessor, dialogue_memory_index, pad_rows

TOKENS_PER_PASS = 4096  # of a frozen encoder, padding included

# Called after each pass with what is being done (`memory` or `turns`), how much of it is
# done and how much there is. What it raises ends the prediction.
Report = Callable[[str, int, int], None]


class EmotionModel(Protocol):
    """What prediction needs of a model: the PyTorch model, or an engine in its place."""

    config: Any

    @property
    def device(self) -> torch.device:
        """Where batches are computed."""
        ...

    def eval(self) -> Any:
        """Switch dropout off."""
        ...

    def __call__(self, **batch: Any) -> Any:
        """Return an output with `logits` (B, T, C)."""
        ...


class TurnProcessor(Protocol):
    """What the processors of both forms share."""

    config: Any
    tokenizer: Any
    speakers: dict[str, int]

    def labels_of(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Turn logits (T, C) into `label`, `score` and `scores` of every turn."""
        ...


def window_tokens(example: Mapping[str, Any]) -> int:
    """Tokens of a window, or its turns where it holds vectors instead."""
    if "input_ids" not in example:
        return len(example["speaker_ids"])
    ids = example["input_ids"]
    return sum(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)


def batches_by_length(
    examples: Sequence[Mapping[str, Any]], batch_size: int, token_budget: int | None = None
) -> list[list[int]]:
    """Places of `examples`, longest first, in batches of at most `batch_size` windows and
    `token_budget` padded tokens.

    None is padded by more than a third of its length: padding costs a CPU as much as
    text.
    """
    batches: list[list[int]] = []
    lengths = [window_tokens(example) for example in examples]
    longest = 0
    for place in sorted(range(len(examples)), key=lambda place: -lengths[place]):
        too_many = bool(batches) and len(batches[-1]) >= batch_size
        too_long = (
            bool(batches) and token_budget is not None and (len(batches[-1]) + 1) * longest > token_budget
        )
        if not batches or too_many or too_long or 4 * lengths[place] < 3 * longest:
            batches.append([])
            longest = lengths[place]
        batches[-1].append(place)
    return batches


@torch.inference_mode()
def predict_logits(
    model: EmotionModel,
    processor: EmoNetProcessor,
    dialogues: Sequence[Sequence[Mapping[str, Any]]],
    memory: Sequence[Sequence[int]] | np.ndarray | None = None,
    batch_size: int = 16,
    progress: bool = False,
    report: Report | None = None,
) -> list[np.ndarray]:
    """Logits (T, C) of each dialogue, given as its windows (`EmoNetProcessor.encode`);
    every turn is there once.

    `model` is an `EmoNetForSequenceClassification`, or an engine in its place
    (`engines.onnx_engine.OnnxEmoNet`).
    """
    model.eval()
    device = model.device
    windows = [window for dialogue in dialogues for window in dialogue]
    if memory is not None and not isinstance(memory, np.ndarray):
        memory = _memory_in_use(model, processor, windows, memory, report)
    logits: list[np.ndarray | None] = [None] * len(windows)
    read = [len(window["speaker_ids"]) - window["read_from"] for window in windows]
    done = 0
    for places in tqdm(batches_by_length(windows, batch_size, 8192), disable=not progress, desc="dialogues"):
        batch = processor.collate([windows[place] for place in places], memory)
        batch.pop("labels")
        output = model(**{key: value.to(device) for key, value in batch.items()}).logits.float().cpu().numpy()
        for row, place in enumerate(places):
            turns = len(windows[place]["speaker_ids"])
            logits[place] = output[row, windows[place]["read_from"] : turns]
            done += read[place]
        if report is not None:
            report("turns", done, sum(read))
    results, start = [], 0
    for dialogue in dialogues:
        parts = [part for part in logits[start : start + len(dialogue)] if part is not None]
        results.append(np.concatenate(parts))
        start += len(dialogue)
    return results


@torch.inference_mode()
def memory_vectors(
    model: Any, processor: EmoNetProcessor, tokens: Sequence[Sequence[int]], progress: bool = False
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Utterances as token ids → their places and vectors (n, H) by the memory's encoder,
    portion by portion.

    Args:
        model: An `EmoNetModel`, or an engine in its place.
    """
    pad = processor.tokenizer.pad_token_id
    examples = [{"input_ids": ids} for ids in tokens]
    with tqdm(total=len(tokens), disable=not progress, desc="memory") as bar:
        for places in batches_by_length(examples, 256, TOKENS_PER_PASS):
            longest = max(1, len(tokens[places[0]]))
            ids = pad_rows([tokens[place] for place in places], longest, pad)
            lengths = torch.tensor([len(tokens[place]) for place in places])
            mask = (torch.arange(longest) < lengths[:, None]).long()
            yield (
                places,
                model.encode_utterances(ids.to(model.device), mask.to(model.device)).float().cpu().numpy(),
            )
            bar.update(len(places))


def _memory_in_use(
    model: Any,
    processor: EmoNetProcessor,
    windows: Sequence[Mapping[str, Any]],
    memory: Sequence[Sequence[int]],
    report: Report | None = None,
) -> np.ndarray:
    """The memory table as vectors, each utterance that a turn points to encoded once; the
    other rows are zero.
    """
    used = sorted({place for window in windows for row in window["memory_index"] for place in row})
    table = np.zeros((len(memory), model.config.hidden_size), dtype=np.float32)
    encoder = getattr(model, "emonet", model)
    done = 0
    for places, vectors in memory_vectors(encoder, processor, [memory[place] for place in used]):
        table[[used[place] for place in places]] = vectors
        done += len(places)
        if report is not None:
            report("memory", done, len(used))
    return table


def predict_dialogues(
    model: EmotionModel,
    processor: EmoNetProcessor,
    dialogues: Sequence[Sequence[Mapping[str, Any]]],
    histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
    batch_size: int = 16,
    progress: bool = False,
    report: Report | None = None,
) -> list[list[dict[str, Any]]]:
    """Raw dialogues (lists of `{"speaker", "text"}`) → `label`, `score`, `scores` of
    every turn.

    Without `histories` the dialogues are in order of time, and with
    `speaker_memory="corpus"` what a speaker said in an earlier one is part of the memory.

    Args:
        histories: For each dialogue, what its speakers said before it (name → utterances,
            oldest first); each dialogue then stands alone with its own. Read with
            `speaker_memory="corpus"` only.
        report: See [`Report`].
    """
    if hasattr(
        model, "predict_dialogues"
    ):  # a prompted model, which takes no batches: each turn waits for the one before
        return model.predict_dialogues(dialogues, histories, processor, progress, report)
    corpus_scope = processor.config.speaker_memory == "corpus"
    said: dict[str, list[int]] = {}
    windows: list[list[dict[str, Any]]] = []
    texts: list[str] = []
    for number, turns in enumerate(dialogues):
        if histories is not None:
            said = (
                _place(histories[number], turns, processor.config.memory_window, texts)
                if corpus_scope
                else {}
            )
        index = dialogue_memory_index(
            turns, processor.config.memory_window, len(texts), said if corpus_scope else None
        )
        windows.append(processor.encode(turns, index))
        for name in [name for name in said if is_role(name)]:
            del said[name]  # `The Waiter` of the next dialogue is another person
        texts.extend(turn_text(turn, place) for place, turn in enumerate(turns))
    memory = processor.encode_memory(texts) if processor.config.speaker_memory != "none" else None
    logits = predict_logits(model, processor, windows, memory, batch_size, progress, report)
    return [processor.labels_of(rows) for rows in logits]


def _place(
    history: Mapping[str, Sequence[str]], turns: Sequence[Mapping[str, Any]], window: int, texts: list[str]
) -> dict[str, list[int]]:
    """Append what the speakers of `turns` said last to the table `texts` → its places by
    speaker.
    """
    speakers = {clean_text(turn_speaker(turn, place)) for place, turn in enumerate(turns)}
    said = {}
    for name, utterances in recent_history(history, window, speakers).items():
        said[name] = list(range(len(texts), len(texts) + len(utterances)))
        texts.extend(map(clean_text, utterances))
    return said
