"""Predict whole dialogues: length-sorted batches, one result for every turn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from tqdm.auto import tqdm

from ..dialogue.names import SpeakerKinds, Speakers
from ..dialogue.spellings import with_one_name_each
from ..dialogue.turns import clean_text, dialogue_memory_index, recent_history, speaker_names, turn_text
from ..layers.padding import pad_rows
from ..processing_emonet import EmoNetProcessor
from .known_labels import known_of, with_source
from .unknown_characters import warn_of_unknown_characters

TOKENS_PER_PASS = 4096  # of a frozen encoder, padding included

# Called after each pass with the stage (`memory` or `turns`), the number of items done
# and their total; a server also calls it within passes. An exception that it raises ends
# the prediction.
Report = Callable[[str, int, int], None]


class EmotionModel(Protocol):
    """What prediction needs of a model: the PyTorch model or an engine."""

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


class UtteranceEncoder(Protocol):
    """What the memory needs of a model: an `EmoNetModel` or an engine."""

    config: Any

    @property
    def device(self) -> torch.device:
        """Where batches are computed."""
        ...

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the vectors (U, H) of utterances (U, L)."""
        ...


class TurnProcessor(Protocol):
    """What the processors of both kinds of model share."""

    config: Any
    tokenizer: Any
    speakers: dict[str, int]

    def labels_of(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Convert logits (T, C) to `label`, `score` and `scores` of every turn."""
        ...


def window_tokens(example: Mapping[str, Any]) -> int:
    """Count the tokens of a window, or its turns where it holds vectors instead."""
    if "input_ids" not in example:
        return len(example["speaker_ids"])
    ids = example["input_ids"]
    return sum(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)


def batches_by_length(
    examples: Sequence[Mapping[str, Any]],
    batch_size: int,
    token_budget: int | None = None,
    padding: float = 1 / 3,
) -> list[list[int]]:
    """Group the indices of `examples` into batches of similar length, longest first.

    Args:
        examples: Windows.
        batch_size: The most windows of a batch.
        token_budget: The most tokens of a batch, including padding.
        padding: The most padding of an example, as a share of its length: padding costs
            as much as text.
    """
    batches: list[list[int]] = []
    lengths = [window_tokens(example) for example in examples]
    longest = 0
    for index in sorted(range(len(examples)), key=lambda index: -lengths[index]):
        too_many = bool(batches) and len(batches[-1]) >= batch_size
        too_long = (
            bool(batches) and token_budget is not None and (len(batches[-1]) + 1) * longest > token_budget
        )
        if not batches or too_many or too_long or lengths[index] * (1 + padding) < longest:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
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
    """Predict the logits (T, C) of each dialogue; every turn is in them once.

    Args:
        model: An `EmoNetForSequenceClassification`, or an engine in its place
            (`engines.onnx_engine.OnnxEmoNet`).
        processor: The model's processor.
        dialogues: The windows of each dialogue (`EmoNetProcessor.encode`).
        memory: The memory table as token ids, or as vectors (N, H).
        batch_size: Windows of one pass.
        progress: Whether to show a progress bar.
        report: See [`Report`].
    """
    model.eval()
    device = model.device
    windows = [window for dialogue in dialogues for window in dialogue]
    if memory is not None and not isinstance(memory, np.ndarray):
        memory = _memory_in_use(model, processor, windows, memory, report)
    logits: list[np.ndarray | None] = [None] * len(windows)
    new_turns = [len(window["speaker_ids"]) - window["read_from"] for window in windows]
    done = 0
    # On a CPU a larger batch of tokens gains less than its padding costs.
    reads_tokens = any("input_ids" in window for window in windows[:1])
    padding = 1 / 8 if reads_tokens and device.type == "cpu" else 1 / 3
    batches = batches_by_length(windows, batch_size, 8192, padding)
    for indices in tqdm(batches, disable=not progress, desc="dialogues"):
        batch = processor.collate([windows[index] for index in indices], memory)
        batch.pop("labels")
        output = model(**{key: value.to(device) for key, value in batch.items()}).logits.float().cpu().numpy()
        for row, index in enumerate(indices):
            turns = len(windows[index]["speaker_ids"])
            logits[index] = output[row, windows[index]["read_from"] : turns]
            done += new_turns[index]
        if report is not None:
            report("turns", done, sum(new_turns))
    results, start = [], 0
    for dialogue in dialogues:
        parts = [part for part in logits[start : start + len(dialogue)] if part is not None]
        results.append(np.concatenate(parts))
        start += len(dialogue)
    return results


@torch.inference_mode()
def memory_vectors(
    model: UtteranceEncoder,
    processor: EmoNetProcessor,
    tokens: Sequence[Sequence[int]],
    progress: bool = False,
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Encode utterances with the memory's encoder, batch by batch.

    Args:
        model: An `EmoNetModel`, or an engine in its place.
        processor: The model's processor.
        tokens: The token ids of each utterance.
        progress: Whether to show a progress bar.

    Yields:
        The indices of a batch's utterances and their vectors (n, H).
    """
    pad = processor.tokenizer.pad_token_id
    examples = [{"input_ids": ids} for ids in tokens]
    with tqdm(total=len(tokens), disable=not progress, desc="memory") as bar:
        for indices in batches_by_length(examples, 256, TOKENS_PER_PASS):
            longest = max(1, len(tokens[indices[0]]))
            ids = pad_rows([tokens[index] for index in indices], longest, pad)
            lengths = torch.tensor([len(tokens[index]) for index in indices])
            mask = (torch.arange(longest) < lengths[:, None]).long()
            vectors = model.encode_utterances(ids.to(model.device), mask.to(model.device))
            yield indices, vectors.float().cpu().numpy()
            bar.update(len(indices))


def _memory_in_use(
    model: EmotionModel,
    processor: EmoNetProcessor,
    windows: Sequence[Mapping[str, Any]],
    memory: Sequence[Sequence[int]],
    report: Report | None = None,
) -> np.ndarray:
    """The memory table as vectors; rows that no turn uses are zero and not encoded."""
    used = sorted({index for window in windows for row in window["memory_index"] for index in row})
    table = np.zeros((len(memory), model.config.hidden_size), dtype=np.float32)
    encoder: Any = getattr(model, "emonet", model)  # an engine encodes utterances itself
    done = 0
    for indices, vectors in memory_vectors(encoder, processor, [memory[index] for index in used]):
        table[[used[index] for index in indices]] = vectors
        done += len(indices)
        if report is not None:
            report("memory", done, len(used))
    return table


def predict_dialogues(
    model: EmotionModel,
    processor: TurnProcessor,
    dialogues: Sequence[Sequence[Mapping[str, Any]]],
    histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
    batch_size: int = 16,
    progress: bool = False,
    report: Report | None = None,
    speakers: Speakers | Sequence[SpeakerKinds] = "auto",
    use_later_labels: bool = False,
) -> list[list[dict[str, Any]]]:
    """Predict `label`, `score` and `scores` of every turn of raw dialogues.

    Where a turn has a `known_emotion`, it comes back as given, and every turn of its
    dialogue has a `source`: `given` or `predicted`.

    Without `histories` the dialogues are in order of time, and with
    `speaker_memory="corpus"` a person's memory includes the utterances of earlier ones.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        dialogues: Lists of `{"speaker", "text"}`, with `known_emotion` where it is known.
        histories: For each dialogue, its speakers' earlier utterances (name → utterances,
            oldest first); each dialogue then has its own history only. Read with
            `speaker_memory="corpus"` only.
        batch_size: Windows of one pass.
        progress: Whether to show a progress bar.
        report: See [`Report`].
        speakers: Who is the same person in every dialogue: `auto` (by the names),
            `persons` (all), `roles` (nobody), or the names of persons; see
            [`speaker_kinds`].
        use_later_labels: Whether a known label also tells about earlier turns. By
            default it never does, as in a live conversation.

    Raises:
        EmoNetError: for a `known_emotion` that is no label or distribution, and for a
            model without `label_evidence`.
    """
    known = known_of(processor, dialogues)
    if hasattr(model, "predict_dialogues"):  # a prompted model: each turn needs the one before
        rows: list[list[dict[str, Any]]] = model.predict_dialogues(
            dialogues, histories, processor, progress, report, speakers
        )
        return rows
    encoder = cast(EmoNetProcessor, processor)  # of any other model
    dialogues, histories, kinds = with_one_name_each(dialogues, histories, processor.speakers, speakers)
    window = processor.config.memory_window
    corpus_scope = processor.config.speaker_memory == "corpus"
    earlier: dict[str, list[int]] = {}  # rows of `texts` by speaker
    windows: list[list[dict[str, Any]]] = []
    texts: list[str] = []
    for index, turns in enumerate(dialogues):
        if corpus_scope and histories is not None:
            earlier = _append_history(histories[index], turns, window, texts)
        memory_index = dialogue_memory_index(turns, window, len(texts), earlier if corpus_scope else None)
        windows.append(encoder.encode(turns, memory_index, use_later_labels))
        for name in filter(kinds.is_role, dict.fromkeys(speaker_names(turns))):
            earlier.pop(name, None)  # `The Waiter` of the next dialogue is another person
        texts.extend(turn_text(turn, turn_index) for turn_index, turn in enumerate(turns))
    warn_of_unknown_characters(processor.tokenizer, texts)
    memory = encoder.encode_memory(texts) if processor.config.speaker_memory != "none" else None
    logits = predict_logits(model, encoder, windows, memory, batch_size, progress, report)
    names = processor.config.label_names
    return [
        with_source(results, found, names) if found else results
        for results, found in zip(map(processor.labels_of, logits), known, strict=True)
    ]


def _append_history(
    history: Mapping[str, Sequence[str]], turns: Sequence[Mapping[str, Any]], window: int, texts: list[str]
) -> dict[str, list[int]]:
    """Append the recent history of the speakers of `turns` to `texts`.

    Returns:
        The rows of `texts` by speaker.
    """
    rows = {}
    for name, utterances in recent_history(history, window, speaker_names(turns)).items():
        rows[name] = list(range(len(texts), len(texts) + len(utterances)))
        texts.extend(map(clean_text, utterances))
    return rows
