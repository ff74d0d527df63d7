"""Encode conversations into examples and collate examples into batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..constants import NO_LABEL
from ..inference.unknown_characters import warn_of_unknown_characters
from ..processing_emonet import EmoNetProcessor


class EncodedSplit(Dataset[dict[str, Any]]):
    """The encoded windows of a split's dialogues, the dataset of `EmoNetTrainer`.

    Attributes:
        rows: The dialogues as given.
        windows: The windows of each dialogue.
        examples: All windows, in order of the dialogues.
        collator: Makes batches of them, as a part of [`EncodedSplits`].
        compute_metrics: As there.
    """

    collator: "EmoNetCollator"

    def __init__(self, rows: Sequence[Mapping[str, Any]], processor: EmoNetProcessor):
        self.rows = list(rows)
        self.windows = []
        for row in self.rows:
            # Drop the corpus's ids so that the processor looks names up: a checkpoint may
            # be used on a corpus it was not trained on. -1 stands for nobody it may know.
            turns = [
                {**turn, "speaker_id": -1 if turn.get("speaker_id") == -1 else None} for turn in row["turns"]
            ]
            self.windows.append(processor.encode(turns, [turn["speaker_history_index"] for turn in turns]))
        self.examples = [window for windows in self.windows for window in windows]

    def subset(self, dialogues: Iterable[int]) -> "EncodedSplit":
        """Select dialogues by their indices, for example the others of a fold.

        The windows are copies that share their tokens and vectors.
        """
        chosen = list(dialogues)
        part = copy(self)
        part.rows = [self.rows[index] for index in chosen]
        part.windows = [[dict(window) for window in self.windows[index]] for index in chosen]
        part.examples = [window for windows in part.windows for window in windows]
        return part

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]

    def labels(self) -> np.ndarray:
        """Label ids (N,) of all turns in order, -100 where a turn has none."""
        parts = [example["labels"][example["read_from"] :] for example in self.examples]
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])

    @staticmethod
    def compute_metrics(prediction: Any) -> dict[str, float]:
        """See [`weighted_f1`]."""
        return weighted_f1(prediction)


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


class EncodedSplits(Mapping[str, EncodedSplit]):
    """Splits, encoded, with one collator over their memory table.

    Args:
        splits: Dialogues by split: rows of the `dialogues` view.
        texts: All utterances, by `utterance_index`.
        processor: Encodes the dialogues and, if the model has a memory, all utterances.

    Attributes:
        collator: A Trainer's `data_collator`.
    """

    def __init__(
        self,
        splits: Mapping[str, Sequence[Mapping[str, Any]]],
        texts: Sequence[str],
        processor: EmoNetProcessor,
    ):
        self.processor = processor
        self.splits = {name: EncodedSplit(rows, processor) for name, rows in splits.items()}
        spoken = (
            turn["text"] for split in self.splits.values() for row in split.rows for turn in row["turns"]
        )
        warn_of_unknown_characters(processor.tokenizer, spoken)
        self.texts: list[str] = []
        memory = None
        if processor.config.speaker_memory != "none":
            self.texts = list(texts)
            memory = processor.encode_memory(self.texts)
        self.collator = EmoNetCollator(processor, memory)
        for split in self.splits.values():
            split.collator = self.collator

    def __getitem__(self, name: str) -> EncodedSplit:
        return self.splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    @staticmethod
    def compute_metrics(prediction: Any) -> dict[str, float]:
        """See [`weighted_f1`]."""
        return weighted_f1(prediction)


def weighted_f1(prediction: Any) -> dict[str, float]:
    """Compute `weighted_f1`, `macro_f1` and `accuracy`: a Trainer's `compute_metrics`.

    Fractions over the labelled turns; a class without turns counts as 0 in the mean.

    Args:
        prediction: Logits (N, T, C) and labels (N, T), both padded with -100.
    """
    logits = prediction.predictions
    logits = np.asarray(logits[0] if isinstance(logits, tuple) else logits)
    labels = np.asarray(prediction.label_ids).reshape(-1)
    guesses = logits.reshape(-1, logits.shape[-1]).argmax(-1)[labels != NO_LABEL]
    labels = labels[labels != NO_LABEL]
    if not len(labels):
        return {}
    size = logits.shape[-1]
    support = np.bincount(labels, minlength=size)
    right = np.bincount(labels[labels == guesses], minlength=size)
    f1 = 2 * right / np.maximum(support + np.bincount(guesses, minlength=size), 1)
    return {
        "weighted_f1": float((f1 * support).sum() / support.sum()),
        "macro_f1": float(f1.mean()),
        "accuracy": float(right.sum() / support.sum()),
    }
