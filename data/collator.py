"""Encode conversations into examples and collate examples into batches."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import EmoNetError
from ..inference.unknown_characters import warn_of_unknown_characters
from ..processing_emonet import EmoNetProcessor
from .loading import Conversations, load_conversations


class EncodedSplit(Dataset[dict[str, Any]]):
    """The encoded windows of a split's dialogues, the dataset of `EmoNetTrainer`.

    Attributes:
        rows: The dialogues as given.
        windows: The windows of each dialogue.
        examples: All windows, in order of the dialogues.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], processor: EmoNetProcessor):
        self.rows = list(rows)
        self.windows = []
        for row in self.rows:
            # Drop the corpus's ids so that the processor looks names up: a checkpoint may
            # be used on a corpus it was not trained on.
            turns = [{**turn, "speaker_id": None} for turn in row["turns"]]
            self.windows.append(processor.encode(turns, [turn["speaker_history_index"] for turn in turns]))
        self.examples = [window for windows in self.windows for window in windows]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]

    def labels(self) -> np.ndarray:
        """Label ids (N,) of all turns in order, -100 where a turn has none."""
        parts = [example["labels"][example["read_from"] :] for example in self.examples]
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])


class EmoNetCollator:
    """Pad examples into a batch and add the history utterances that its turns use.

    Args:
        processor: The processor that encoded the examples.
        memory: The memory table by `utterance_index`: token ids of each utterance, or
            vectors (N, H).
    """

    def __init__(
        self, processor: EmoNetProcessor, memory: Sequence[Sequence[int]] | np.ndarray | None = None
    ):
        self.processor = processor
        self.memory = memory

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self.processor.collate(examples, self.memory)
        if "fold" in examples[0]:  # the heads are cross-fitted on this split
            batch["folds"] = torch.tensor([example["fold"] for example in examples])
        return batch


class EncodedCorpus(Mapping[str, EncodedSplit]):
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
        self.processor = processor
        self.splits = {name: EncodedSplit(split, processor) for name, split in conversations.items()}
        self.texts: list[str] = []
        texts = (turn["text"] for split in conversations.values() for row in split for turn in row["turns"])
        warn_of_unknown_characters(processor.tokenizer, texts)
        memory = None
        if processor.config.speaker_memory != "none":
            self.texts = conversations.utterance_texts()
            memory = processor.encode_memory(self.texts)
        self.collator = EmoNetCollator(processor, memory)

    def __getitem__(self, name: str) -> EncodedSplit:
        return self.splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def cache_features(self, model: Any, cache_dir: Path | None = None, progress: bool = True) -> None:
        """Replace the tokens that a frozen encoder reads with its cached vectors.

        A frozen backbone computes the turn vectors, a frozen memory encoder the memory
        table. Inputs of trained encoders stay tokens.
        """
        from .features import cached_memory_features

        config, base = model.config, model.emonet
        model.eval()
        if config.speaker_memory != "none" and config.memory_encoder == "frozen":
            self.collator.memory = cached_memory_features(
                base, self.processor, self.texts, cache_dir, progress
            )
        if config.freeze_backbone and not _has_trained_input(config):
            self.attach_turn_features(model, cache_dir, progress)

    def attach_turn_features(self, model: Any, cache_dir: Path | None = None, progress: bool = True) -> None:
        """Add the cached turn vectors of the current backbone to every window.

        The model then reads these vectors instead of the tokens.

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
        model.eval()
        windows = [example for split in self.splits.values() for example in split.examples]
        features = cached_turn_features(model.emonet, self.processor, windows, cache_dir, progress)
        for window, vectors in zip(windows, features, strict=True):
            window["turn_embeds"] = vectors

    def drop_turn_features(self) -> None:
        """Remove the cached turn vectors, so that the model reads tokens again."""
        for split in self.splits.values():
            for example in split.examples:
                example.pop("turn_embeds", None)

    def fit_standardizers(self, model: Any) -> None:
        """Fit the model's standardizers to the training split.

        Needs the vectors of `cache_features`.
        """
        base = model.emonet
        if base.standardizer is None:
            return
        train = self.splits["train"].examples
        base.standardizer.fit(torch.from_numpy(np.concatenate([example["turn_embeds"] for example in train])))
        if base.memory_standardizer is not None:
            used = {index for example in train for row in example["memory_index"] for index in row}
            if used:
                base.memory_standardizer.fit(torch.from_numpy(np.asarray(self.collator.memory)[sorted(used)]))


def _has_trained_input(config: Any) -> bool:
    """Whether an embedding below the backbone is trained: ids at markers, not names."""
    return bool(config.speaker_identity == "global" and config.identity_position == "marker")
