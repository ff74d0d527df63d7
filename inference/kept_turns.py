"""Encode whole dialogues once, to label them again and again as labels become known."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..processing_emonet import EmoNetProcessor
from .session_labels import SessionLabels

if TYPE_CHECKING:
    from ..modeling_emonet import EmoNetForSequenceClassification


class TurnVectors:
    """A model whose logits are the turn vectors (B, T, H), before any known label.

    It takes a model's place where prediction encodes dialogues.

    Args:
        model: The model.
    """

    def __init__(self, model: "EmoNetForSequenceClassification"):
        self.model, self.config, self.emonet = model, model.config, model.emonet

    @property
    def device(self) -> torch.device:
        """Where batches are computed."""
        return self.model.device

    def eval(self) -> None:
        """Switch dropout off."""
        self.model.eval()  # type: ignore[no-untyped-call]

    def __call__(self, **batch: Any) -> Any:
        return SimpleNamespace(logits=self.emonet(**batch).turn_states)


def kept_turns(
    model: "EmoNetForSequenceClassification",
    processor: EmoNetProcessor,
    windows: Sequence[Mapping[str, Any]],
    turns: Sequence[Mapping[str, Any]],
    vectors: np.ndarray,
    use_later_labels: bool = False,
) -> SessionLabels:
    """Keep a dialogue, without any known label.

    Args:
        model: The model; without `label_evidence` no label tells about another turn.
        processor: Its processor.
        windows: The dialogue's windows (`EmoNetProcessor.encode`).
        turns: `speaker` and `text` of its turns.
        vectors: Their vectors (T, H), which [`TurnVectors`] predicts.
        use_later_labels: Whether a known label also tells about earlier turns.
    """
    kept = SessionLabels(model, processor, use_later_labels)
    kept.turns = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in turns]
    kept.speakers = [
        speaker for window in windows for speaker in window["local_speaker_ids"][window["read_from"] :]
    ]
    kept.states = list(torch.from_numpy(vectors).to(model.device))
    return kept
