"""Compute the weighted loss of logits, as sums that add over batches."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F


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


def weighted_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: Sequence[float] | None,
    auxiliary_losses: torch.Tensor | None = None,
    num_items: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """The loss of one batch: the quotient of the sums of `weighted_cross_entropy`.

    Args:
        logits: As there.
        labels: As there.
        class_weights: As there.
        auxiliary_losses: Those of `weighted_auxiliary`.
        num_items: What to divide by in place of the weights: the labels of a whole step.
    """
    loss, weight = weighted_cross_entropy(logits, labels, class_weights)
    if auxiliary_losses is not None:
        loss = loss + weighted_auxiliary(auxiliary_losses, labels, class_weights)
    if num_items is not None:
        return loss / num_items
    return loss / weight.clamp(min=torch.finfo(torch.float32).tiny)


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
