"""Standardise turn states and classify them."""

import math

import torch
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

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., H) → (..., C), as `averaged` gives them."""
        return self.averaged(self.member_logits(states))

    def member_logits(self, states: torch.Tensor) -> torch.Tensor:
        """(..., H) → (..., M, C)."""
        return torch.stack([member(states) for member in self.members], dim=-2)

    def averaged(self, logits: torch.Tensor) -> torch.Tensor:
        """(..., M, C) → (..., C): the log of the mean probability plus `class_bias`."""
        return logits.log_softmax(-1).logsumexp(-2) - math.log(logits.shape[-2]) + self.class_bias


def build_classifier(config: EmoNetConfig) -> nn.Module:
    """Build the classifier (..., H) → (..., C): one head, or `head_members` heads."""
    if config.head_members > 1:
        return HeadEnsemble([_head(config) for _ in range(config.head_members)], len(config.label_names))
    return _head(config)


def classify(
    classifier: nn.Module, states: torch.Tensor, evidence: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Classify turn states.

    Args:
        classifier: That of `build_classifier`.
        states: (..., H).
        evidence: (..., C), what is added to the logits of every member; None for nothing.

    Returns:
        Logits (..., C), and those of the members (..., M, C) of a [`HeadEnsemble`].
    """
    if not isinstance(classifier, HeadEnsemble):
        logits: torch.Tensor = classifier(states)
        return logits if evidence is None else logits + evidence, None
    members = classifier.member_logits(states)
    if evidence is not None:
        members = members + evidence.unsqueeze(-2)
    return classifier.averaged(members), members


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
