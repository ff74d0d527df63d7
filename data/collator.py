"""Encode a corpus, with a frozen backbone's vectors in place of its tokens."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..engines.auto_dtype import resolved_dtype
from ..errors import EmoNetError
from ..fine_tuning.encoding import EncodedSplit, EncodedSplits
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from .loading import Conversations, load_conversations


class EncodedCorpus(EncodedSplits):
    """All splits of a corpus, encoded, with one collator over the corpus's memory table.

    Args:
        conversations: The result of `load_conversations(..., view="dialogues")`, or a
            `DatasetDict`, path or id for it.
        processor: Encodes the dialogues and, if the model has a memory, all utterances.
    """

    def __init__(self, conversations: Any, processor: EmoNetProcessor):
        if not isinstance(conversations, Conversations):
            conversations = load_conversations(
                conversations,
                history_window=processor.config.memory_window,
                history_scope=processor.config.speaker_memory,
                labels=processor.config.label_names,
            )
        has_memory = processor.config.speaker_memory != "none"
        texts = conversations.utterance_texts() if has_memory else ()
        super().__init__(dict(conversations.items()), texts, processor)

    def cache_features(
        self,
        model: EmoNetForSequenceClassification,
        cache_dir: Path | None = None,
        progress: bool = True,
        dtype: str = "float32",
    ) -> None:
        """Replace the tokens that a frozen encoder reads with its cached vectors.

        A frozen backbone computes the turn vectors, a frozen memory encoder the memory
        table. Inputs of trained encoders stay tokens.

        Args:
            model: The model.
            cache_dir: By default in emonet's cache folder.
            progress: Whether to show progress bars.
            dtype: What the encoders compute in, one of `DTYPES`.
        """
        from .features import cached_memory_features

        config, base, dtype = model.config, model.emonet, resolved_dtype(dtype, model.device)
        model.eval()  # type: ignore[no-untyped-call]
        if config.speaker_memory != "none" and config.memory_encoder == "frozen":
            self.collator.memory = cached_memory_features(
                base, self.processor, self.texts, cache_dir, progress, dtype
            )
        if config.freeze_backbone and not _has_trained_input(config):
            self.attach_turn_features(model, cache_dir, progress, dtype)

    def attach_turn_features(
        self,
        model: EmoNetForSequenceClassification,
        cache_dir: Path | None = None,
        progress: bool = True,
        dtype: str = "float32",
    ) -> None:
        """Add the cached turn vectors of the current backbone to every window.

        The model then reads these vectors instead of the tokens. Arguments are those of
        `cache_features`.

        Raises:
            EmoNetError: if an identity embedding is trained below the backbone.
        """
        from .features import cached_turn_features

        if _has_trained_input(model.config):
            raise EmoNetError(
                "speaker_identity='global' with identity_position='marker' trains an embedding below the "
                "backbone, so the backbone's turn vectors change at every step and cannot be cached. "
                "Use identity_position='turn' or speaker_identity='name'."
            )
        model.eval()  # type: ignore[no-untyped-call]
        windows = [example for split in self.splits.values() for example in split.examples]
        dtype = resolved_dtype(dtype, model.device)
        features = cached_turn_features(model.emonet, self.processor, windows, cache_dir, progress, dtype)
        for window, vectors in zip(windows, features, strict=True):
            window["turn_embeds"] = vectors

    def drop_turn_features(self) -> None:
        """Remove the cached turn vectors, so that the model reads tokens again."""
        for split in self.splits.values():
            for example in split.examples:
                example.pop("turn_embeds", None)

    def fit_standardizers(self, model: EmoNetForSequenceClassification) -> None:
        """Fit the model's standardizers to the training split.

        Needs the vectors of `cache_features`.
        """
        fit_standardizers(model, self.splits["train"])


def fit_standardizers(model: EmoNetForSequenceClassification, train: EncodedSplit) -> None:
    """Fit the model's standardizers, if it has any, to training windows with vectors."""
    base = model.emonet
    if base.standardizer is None:
        return
    vectors = np.concatenate([example["turn_embeds"] for example in train.examples])
    base.standardizer.fit(torch.from_numpy(vectors))
    if base.memory_standardizer is not None:
        used = {index for example in train.examples for row in example["memory_index"] for index in row}
        if used:
            memory = np.asarray(train.collator.memory)[sorted(used)]
            base.memory_standardizer.fit(torch.from_numpy(memory))


def _has_trained_input(config: Any) -> bool:
    """Whether an embedding below the backbone is trained: ids at markers, not names."""
    return bool(config.speaker_identity == "global" and config.identity_position == "marker")
