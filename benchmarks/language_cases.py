"""Compare packed and prompted language models on the same dialogues and weights.

These cases need a decoder backbone and run only by name (`--only`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..adapters.lora import LoraSettings, add_adapters
from ..data import load_conversations
from ..inference.predict import predict_logits
from ..prompted.modeling import PromptedEmoNet
from ..prompted.prefix_reader import PrefixReader
from ..runs.prompted.batches import PromptCollator
from ..runs.prompted.presets import PROMPTED_PRESETS
from ..runs.prompted.trainer import PromptedSplit, predict_split
from ..runs.prompted.trajectory import EmotionRecord
from ..speakers.biographies.choose import biographer_for
from .workload import encoded, tokens_of

_PROMPTED = "emonet-lm-prompted"
T = TypeVar("T")


def lm_packed(folder: Path, backbone: str) -> dict[str, Any]:
    """Predict with `emonet-lm`: one causal pass per dialogue, at 2/3 of the depth."""
    model, corpus = encoded(folder, backbone, "emonet-lm")
    split, processor = corpus["train"], corpus.processor
    tokens = sum(tokens_of([processor.collate([window])]) for windows in split.windows for window in windows)
    _, figures = _measured(lambda: predict_logits(model, processor, split.windows))
    return {**figures, "turns": len(split.labels()), "tokens": tokens}


def lm_prompted(folder: Path, backbone: str) -> dict[str, Any]:
    """Predict with `emonet-lm-prompted`: one prompt per turn, with cached prefixes.

    `prompt_tokens` counts whole prompts, as training computes them.
    """
    settings = PROMPTED_PRESETS[_PROMPTED].settings
    conversations = load_conversations(str(folder), history_window=settings.trajectory)
    model = PromptedEmoNet.from_backbone(backbone, conversations.labels, settings)
    record = EmotionRecord(conversations["train"], conversations.utterance_texts(), conversations.labels)
    started = time.perf_counter()
    biographer = biographer_for(settings, conversations)
    split = PromptedSplit("train", conversations["train"], model, record, biographer)
    seconds_biographies = time.perf_counter() - started
    (_, reader), figures = _measured(lambda: predict_split(model, split))
    return {
        **figures,
        "turns": len(split.turns),
        "tokens": reader.computed,
        "prompt_tokens": reader.tokens,
        "seconds_biographies": seconds_biographies,
    }


def lm_prompt_packing(folder: Path, backbone: str) -> dict[str, Any]:
    """Compare one whole prompt a turn with packed prompts, in training and prediction.

    A turn as it was: a whole prompt of template 1, in a batch of four. Now: template 2,
    and 16 turns packed, or the prefix of the prompt before reused. Figures of `one` and
    `packed` are in seconds of the processor; the passes of training have no optimizer.
    """
    settings = PROMPTED_PRESETS[_PROMPTED].settings
    conversations = load_conversations(str(folder), history_window=settings.trajectory)
    biographer = biographer_for(settings, conversations)
    figures: dict[str, Any] = {}
    model = PromptedEmoNet.from_backbone(backbone, conversations.labels, settings)
    add_adapters(model, LoraSettings(rank=16))
    for name, template, size in (("packed", 2, 16), ("one", 1, 4)):
        model.config.prompts = asdict(replace(settings, template=template))
        model.processor.config = model.config
        record = EmotionRecord(conversations["train"], conversations.utterance_texts(), conversations.labels)
        split = PromptedSplit("train", conversations["train"], model, record, biographer)
        order = list(range(len(split))) if template == 2 else _by_length(split)
        batches = [
            [split[index] for index in order[begin : begin + size]] for begin in range(0, len(order), size)
        ]
        training_tokens, training = _measured(partial(_train, model, batches, template == 2))
        tokens, prediction = _measured(partial(_predict, model, split, template == 2))
        figures |= {
            f"{name}_training_seconds": training["cpu_seconds"],
            f"{name}_training_tokens": training_tokens,
            f"{name}_prediction_seconds": prediction["cpu_seconds"],
            f"{name}_prediction_tokens": tokens,
        }
        figures["seconds"] = figures.get("seconds", 0.0) + training["seconds"] + prediction["seconds"]
        figures["tokens"] = figures.get("tokens", 0) + training_tokens + tokens
        figures["turns"] = len(split.turns)
    return figures


def _train(model: PromptedEmoNet, batches: Sequence[Sequence[dict[str, Any]]], packs: bool) -> int:
    """Take the forward and backward passes of batches; return their tokens."""
    collate, tokens = PromptCollator(model, packs), 0
    model.train()
    for examples in batches:
        batch = collate(examples)
        tokens += batch["input_ids"].numel()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        model.zero_grad()
    return tokens


def _predict(model: PromptedEmoNet, split: PromptedSplit, shares: bool) -> int:
    """Score every turn; return how many tokens went through the model."""
    model.eval()  # type: ignore[no-untyped-call]
    reader = PrefixReader(model.language_model, model.tree)
    for turn in split.turns:
        if not shares:
            reader.ids = []
        reader.log_probabilities(split.prompt(*turn))
    return reader.computed


def _by_length(split: PromptedSplit) -> list[int]:
    return sorted(range(len(split)), key=lambda index: len(split[index]["input_ids"]))


LANGUAGE_CASES: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    case.__name__: case for case in (lm_packed, lm_prompted, lm_prompt_packing)
}


def _measured(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """The result of `work`, with its wall-clock and its CPU seconds.

    CPU seconds do not depend on other load of the machine.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return result, {"seconds": seconds, "cpu_seconds": cpu_seconds}
