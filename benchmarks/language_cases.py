"""What a turn costs a language model, packed and prompted, on the same dialogues and
weights; run by name, on a decoder.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data import load_conversations
from ..inference.predict import predict_logits
from ..prompted.modeling import PromptedEmoNet
from ..runs.prompted.presets import PROMPTED_PRESETS
from ..runs.prompted.trainer import PromptedSplit, predict_split
from ..runs.prompted.trajectory import EmotionRecord
from ..speakers.biographies.choose import biographer_for
from .workload import encoded, tokens_of

_PROMPTED = "emonet-lm-prompted"


def lm_packed(folder: Path, backbone: str) -> dict[str, Any]:
    """`emonet-lm`: one causal pass a dialogue, at two thirds of the model's depth."""
    model, corpus = encoded(folder, backbone, "emonet-lm")
    split, processor = corpus["train"], corpus.processor
    tokens = sum(tokens_of([processor.collate([window])]) for windows in split.windows for window in windows)
    return {
        **_measured(lambda: predict_logits(model, processor, split.windows)),
        "turns": len(split.labels()),
        "tokens": tokens,
    }


def lm_prompted(folder: Path, backbone: str) -> dict[str, Any]:
    """`emonet-lm-prompted`: one prompt a turn; what a prompt shares with the one before
    is computed once.

    `prompt_tokens` are those of whole prompts, which training computes.
    """
    settings = PROMPTED_PRESETS[_PROMPTED].settings
    conversations = load_conversations(str(folder), history_window=settings.trajectory)
    model = PromptedEmoNet.from_backbone(backbone, conversations.labels, settings)
    record = EmotionRecord(conversations["train"], conversations.utterance_texts(), conversations.labels)
    written = time.perf_counter()
    split = PromptedSplit(
        "train", conversations["train"], model, record, biographer_for(settings, conversations)
    )
    written = time.perf_counter() - written
    readers: list[Any] = []
    figures = _measured(lambda: readers.append(predict_split(model, split)[1]))
    (reader,) = readers
    return {
        **figures,
        "turns": len(split.turns),
        "tokens": reader.computed,
        "prompt_tokens": reader.tokens,
        "seconds_biographies": written,
    }


LANGUAGE_CASES: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    case.__name__: case for case in (lm_packed, lm_prompted)
}


def _measured(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds by the clock and of the processor: on a busy machine the second is what the
    work took.
    """
    started, busy = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - busy}
