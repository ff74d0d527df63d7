"""Read batches of cached turn vectors, as flat rows without padding where it is possible.

Shapes: N turns, H the width of a turn vector, K history indices.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..constants import NO_LABEL
from ..fine_tuning.encoding import EmoNetCollator, EncodedSplit
from ..layers.label_evidence import KnownLabels, shown_labels
from ..layers.loss import weighted_auxiliary
from ..layers.padding import pad_rows
from ..layers.turn_attention import drop_speakers
from ..modeling_emonet import EmoNetForSequenceClassification
from .histories import with_histories


class TurnBatch(NamedTuple):
    """The turns of some windows, before the classifier.

    Attributes:
        states: (N, H) turn vectors with identity, context and memory.
        labels: (N,), -100 for none.
        folds: (N,), the member that must not learn from a turn; None without folds.
        auxiliary: The context module's own loss, a sum as in `weighted_auxiliary`.
        evidence: (N, C), what the labels shown in training add to the logits.
    """

    states: torch.Tensor
    labels: torch.Tensor
    folds: torch.Tensor | None
    auxiliary: torch.Tensor | None
    evidence: torch.Tensor | None = None


class TurnReader:
    """Compute the turn vectors of a split's windows from the backbone's cached vectors.

    Without a context module a turn needs no other turn of its dialogue: the turns of all
    windows are one matrix. A context module reads padded dialogues.

    Args:
        model: A model with a frozen backbone.
        split: Windows with `turn_embeds`.
        collator: Pads them; it holds the memory's vectors.
        dtype: Of the products of the classifier, and of vectors that go straight to it.
    """

    def __init__(
        self,
        model: EmoNetForSequenceClassification,
        split: EncodedSplit,
        collator: EmoNetCollator,
        dtype: torch.dtype = torch.float32,
    ):
        self.model, self.collator = model, collator
        self.examples = examples = split.examples
        self.is_flat = model.emonet.context is None
        if not self.is_flat:
            return
        device = model.device
        sizes = [len(example["speaker_ids"]) for example in examples]
        self.sizes, self.ends = np.array(sizes), np.cumsum(sizes)
        vectors = np.concatenate([np.asarray(example["turn_embeds"]) for example in examples])
        self.vectors = torch.from_numpy(vectors).to(device)
        # Nothing but the standardizer stands between the vectors and the classifier.
        self.is_fixed = model.emonet.speaker_embedding is None and model.emonet.memory is None
        if self.is_fixed:
            standardizer = model.emonet.standardizer or nn.Identity()
            self.vectors = standardizer(self.vectors).to(dtype)
        names = ("speaker_ids", "local_speaker_ids", "labels")
        self.columns = {
            name: torch.tensor([value for example in examples for value in example[name]], device=device)
            for name in names
        }
        if "fold" in examples[0]:
            folds = np.repeat([example["fold"] for example in examples], sizes)
            self.columns["folds"] = torch.from_numpy(folds).to(device)
        self.memory_index: torch.Tensor | None = None
        if model.config.speaker_memory != "none":
            rows = [row for example in examples for row in example["memory_index"]]
            self.memory_index = pad_rows(rows, max(1, *map(len, rows)), -1)

    def __call__(self, windows: Sequence[int]) -> TurnBatch:
        """Compute the batch of the windows of these indices."""
        return self._flat(windows) if self.is_flat else self._padded(windows)

    def _flat(self, windows: Sequence[int]) -> TurnBatch:
        rows = torch.from_numpy(
            np.concatenate(
                [np.arange(self.ends[index - 1] if index else 0, self.ends[index]) for index in windows]
            )
        )
        columns = {name: values[rows] for name, values in self.columns.items()}
        labels, folds = columns.pop("labels"), columns.pop("folds", None)
        if self.is_fixed:
            return self._with_shown(TurnBatch(self.vectors[rows], labels, folds, None), windows)
        base, config = self.model.emonet, self.model.config
        ids = drop_speakers(columns["speaker_ids"], config.speaker_dropout if base.training else 0)
        states = base.with_identity(self.vectors[rows], ids, columns["local_speaker_ids"])
        if base.memory is not None:
            assert self.memory_index is not None
            vectors, index = self._memory(self.memory_index[rows])
            if base.memory_standardizer is not None:
                vectors = base.memory_standardizer(vectors)
            states = with_histories(base.memory, vectors, index, states)
        return self._with_shown(TurnBatch(states, labels, folds, None), windows)

    def _with_shown(self, batch: TurnBatch, windows: Sequence[int]) -> TurnBatch:
        """Show random labels of the windows to their other turns, in training."""
        evidence = self.model.emonet.label_evidence
        if evidence is None or not self.model.training:
            return batch
        turns, device = int(self.sizes[windows].max()), batch.labels.device
        speakers, labels = (
            pad_rows([self.examples[index][name] for index in windows], turns, value).to(device)
            for name, value in (("local_speaker_ids", -1), ("labels", NO_LABEL))
        )
        known, later = shown_labels(labels, len(self.model.config.label_names))
        found = KnownLabels(known, torch.arange(turns, device=device).expand_as(speakers), speakers)
        numbers = evidence.numbers(speakers, found, later)[speakers >= 0]
        states, logits = evidence.add(batch.states, numbers)
        return batch._replace(states=states, evidence=logits)

    def _memory(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The memory's rows that (N, K) indices use, once each, and their indices."""
        index = index[:, : max(1, int((index >= 0).sum(1).max()))]
        used, places = torch.unique(index, return_inverse=True)
        if len(used) and used[0] < 0:  # -1, where a history is shorter, comes first
            used, places = used[1:], places - 1
        vectors = torch.from_numpy(np.asarray(self.collator.memory)[used.numpy()])
        return vectors.to(self.model.device), places.to(self.model.device)

    def _padded(self, windows: Sequence[int]) -> TurnBatch:
        model = self.model
        padded = self.collator([self.examples[index] for index in windows])
        batch = {name: values.to(model.device) for name, values in padded.items()}
        labels, folds = batch.pop("labels"), batch.pop("folds", None)
        if model.training and needs_labels(model):
            batch["labels"] = labels
        output = model.emonet(**batch)
        auxiliary = output.auxiliary_losses
        if auxiliary is not None:
            auxiliary = weighted_auxiliary(auxiliary, labels, model.config.class_weights)
        kept = labels != NO_LABEL
        if folds is not None:
            folds = folds[:, None].expand_as(labels)[kept]
        evidence = None if output.evidence_logits is None else output.evidence_logits[kept]
        return TurnBatch(output.turn_states[kept], labels[kept], folds, auxiliary, evidence)


def needs_labels(model: Any) -> bool:
    """Whether a model's forward pass reads the labels in training, beside the loss."""
    emonet = getattr(model, "emonet", None)  # a prompted model has none
    if emonet is None:
        return False
    context = emonet.context
    return emonet.label_evidence is not None or (context is not None and context.has_auxiliary_loss)
