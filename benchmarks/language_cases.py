"""Compare packed and prompted language models on the same dialogues and weights.

These cases need a decoder backbone and run only by name (`--only`).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..data import load_conversations
from ..inference.predict import predict_logits
from ..prompted.modeling import PromptedEmoNet
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


LANGUAGE_CASES: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    case.__name__: case for case in (lm_packed, lm_prompted)
}


def _measured(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """The result of `work`, with its wall-clock and its CPU seconds.

    CPU seconds do not depend on other load of the machine.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return result, {"seconds": seconds, "cpu_seconds": cpu_seconds}
