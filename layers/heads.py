"""Standardise turn states, classify them and compute the loss of the logits."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..configuration_emonet import EmoNetConfig


class Standardizer(nn.Module):
    """Standardise over the last dimension: (x - mean) / scale of the training set."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def reset(self) -> None:
        """Initialise the buffers that no checkpoint has filled."""
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.scale)

    @torch.no_grad()
    def fit(self, vectors: torch.Tensor) -> None:
        """Set the statistics to those of `vectors` (N, H)."""
        self.mean.copy_(vectors.mean(0))
        self.scale.copy_(vectors.std(0).clamp(min=1e-5))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return (vectors - self.mean) / self.scale


class HeadEnsemble(nn.Module):
    """Separately trained classifiers of the same turn states, averaged.

    `forward` gives the logarithm of their mean probability. `class_bias` (C,) is added to
    it: a logit adjustment that is fitted after training, zero until then (Menon et al.
    2021, ICLR, section 4.1).
    """

    class_bias: torch.Tensor

    def __init__(self, members: list[nn.Module], labels: int):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("class_bias", torch.zeros(labels))

    def reset(self) -> None:
        """Initialise the buffer, unless a checkpoint has filled it."""
        nn.init.zeros_(self.class_bias)

    def member_logits(self, states: torch.Tensor) -> torch.Tensor:
        """(..., H) → (..., M, C)."""
        return torch.stack([member(states) for member in self.members], dim=-2)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., H) → (..., C), as `averaged` gives them."""
        return self.averaged(self.member_logits(states))

    def averaged(self, logits: torch.Tensor) -> torch.Tensor:
        """(..., M, C) → (..., C): the log of the mean probability plus `class_bias`."""
        return logits.log_softmax(-1).logsumexp(-2) - math.log(logits.shape[-2]) + self.class_bias


def weighted_cross_entropy(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: Sequence[float] | None,
    label_smoothing: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the weighted losses, and the labels' weights, so that their quotient is exact.

    Both sums add over batches: the quotient over any set of batches is that of one large
    batch.

    Args:
        logits: (..., C), or (..., M, C) of M members, whose losses are averaged.
        labels: (...), -100 ignored; (..., M) where members learn from different turns.
        class_weights: C values, or None for 1.
        label_smoothing: As in `torch.nn.functional.cross_entropy`.

    Returns:
        The sum of the losses and the sum of the weights.
    """
    if logits.dim() == labels.dim() + 2:
        members = logits.unbind(-2)
        sums = [weighted_cross_entropy(member, labels, class_weights, label_smoothing) for member in members]
        return torch.stack([loss for loss, _ in sums]).mean(), sums[0][1]
    logits = logits.float().reshape(-1, logits.shape[-1])
    labels = labels.reshape(-1)
    weights = logits.new_ones(logits.shape[-1]) if class_weights is None else logits.new_tensor(class_weights)
    loss = F.cross_entropy(
        logits, labels, weights, ignore_index=-100, reduction="sum", label_smoothing=label_smoothing
    )
    return loss, weights[labels[labels != -100]].sum()


def weighted_auxiliary(
    losses: torch.Tensor, labels: torch.Tensor, class_weights: Sequence[float] | None
) -> torch.Tensor:
    """Sum the auxiliary losses (B, T) of labelled turns, weighted by their labels.

    They share the divisor of [`weighted_cross_entropy`], so that accumulated steps equal
    one large step.
    """
    kept = labels != -100
    losses = losses.float()[kept]
    if class_weights is not None:
        losses = losses * losses.new_tensor(class_weights)[labels[kept]]
    return losses.sum()


def build_classifier(config: EmoNetConfig) -> nn.Module:
    """Build the classifier (..., H) → (..., C): one head, or `head_members` heads."""
    if config.head_members > 1:
        return HeadEnsemble([_head(config) for _ in range(config.head_members)], len(config.label_names))
    return _head(config)


def _head(config: EmoNetConfig) -> nn.Module:
    labels = len(config.label_names)
    if not config.head_hidden_size:
        return nn.Sequential(nn.Dropout(config.head_dropout), nn.Linear(config.hidden_size, labels))
    return nn.Sequential(
        nn.Dropout(config.head_dropout),
        nn.Linear(config.hidden_size, config.head_hidden_size),
        nn.ReLU(),
        nn.Dropout(config.head_dropout),
        nn.Linear(config.head_hidden_size, labels),
    )
