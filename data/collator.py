"""Conversations → encoded examples, and examples → batches, with the corpus's speaker
memory behind both.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import EmoNetError
from ..processing_emonet import EmoNetProcessor


class EncodedSplit(Dataset):
    """The windows of a split's dialogues, as `EmoNetTrainer` takes them.

    Attributes:
        rows: The dialogues as they came. windows: for each dialogue, its windows.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], processor: EmoNetProcessor):
        self.rows = list(rows)
        self.windows = []
        for row in self.rows:
            # Names decide, not the corpus's ids: a checkpoint may be used on another
            # corpus than its own.
            turns = [{**turn, "speaker_id": None} for turn in row["turns"]]
            self.windows.append(processor.encode(turns, [turn["speaker_history_index"] for turn in turns]))
        self.examples = [window for windows in self.windows for window in windows]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.examples[place]

    def labels(self) -> np.ndarray:
        """(N,) the label of every turn in order, -100 where unlabelled."""
        parts = [example["labels"][example["read_from"] :] for example in self.examples]
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])


class EmoNetCollator:
    """Pads examples into a batch and adds the distinct history utterances that its turns
    point to.

    Args:
        memory: The memory table by `utterance_index`: token ids a row, or vectors (N, H).
    """

    def __init__(
        self, processor: EmoNetProcessor, memory: Sequence[Sequence[int]] | np.ndarray | None = None
    ):
        self.processor = processor
        self.memory = memory

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self.processor.collate(examples, self.memory)
        if "fold" in examples[0]:  # of a training split whose heads are cross-fitted
            batch["folds"] = torch.tensor([example["fold"] for example in examples])
        return batch


class EncodedCorpus(Mapping[str, EncodedSplit]):
    """All splits of a corpus, encoded, with one collator over the corpus's memory table.

    Args:
        conversations: What `load_conversations(..., view="dialogues")` gives.
    """

    def __init__(self, conversations: Any, processor: EmoNetProcessor):
        self.processor = processor
        self.splits = {name: EncodedSplit(split, processor) for name, split in conversations.items()}
        self.texts: list[str] = []
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
        """Replace what a frozen encoder would compute again in every step by cached
        vectors.

        A frozen backbone gives the turn vectors, a frozen memory encoder the memory
        table. What is trained stays tokens.
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
        """Give every window the cached vectors of its turns by the backbone as it is,
        which stand in for tokens.
        """
        from .features import cached_turn_features

        if _has_trained_input(model.config):
            raise EmoNetError(
                "speaker_identity='global' at identity_position='marker' is trained below the backbone, whose read-outs then "
                "change at every step: use identity_position='turn', or speaker_identity='name'."
            )
        model.eval()
        windows = [example for split in self.splits.values() for example in split.examples]
        features = cached_turn_features(model.emonet, self.processor, windows, cache_dir, progress)
        for window, vectors in zip(windows, features, strict=True):
            window["turn_embeds"] = vectors

    def drop_turn_features(self) -> None:
        """Go back to tokens."""
        for split in self.splits.values():
            for example in split.examples:
                example.pop("turn_embeds", None)

    def fit_standardizers(self, model: Any) -> None:
        """Take the training set's means and deviations into the model (needs
        `cache_features` first).
        """
        base = model.emonet
        if base.standardizer is None:
            return
        train = self.splits["train"].examples
        base.standardizer.fit(torch.from_numpy(np.concatenate([example["turn_embeds"] for example in train])))
        if base.memory_standardizer is not None:
            used = {place for example in train for row in example["memory_index"] for place in row}
            if used:
                base.memory_standardizer.fit(torch.from_numpy(np.asarray(self.collator.memory)[sorted(used)]))


def _has_trained_input(config: Any) -> bool:
    """Whether an id embedding below the backbone is trained; markers that are text are
    not.
    """
    return config.speaker_identity == "global" and config.identity_position == "marker"
