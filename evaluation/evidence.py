"""Add what the labels of other turns say to a model's log-probabilities.

Shapes: N turns in order of time, C emotions, G settings of the evidence.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)  # turns that the corpus's distribution counts for
WEIGHTS = (0.25, 0.5, 0.75, 1.0)  # turns of a scene do not speak independently


def label_counts(gold: npt.NDArray[Any], groups: npt.NDArray[Any], classes: int, causal: bool) -> FloatArray:
    """Count the labels (N, C) of the other turns of each turn's group.

    Args:
        gold: Label ids (N,).
        groups: The group (N,) of each turn.
        classes: The number of classes C.
        causal: Whether to count earlier turns only.
    """
    one_hot = np.eye(classes)[gold]
    _, owner = np.unique(groups, return_inverse=True)
    owner = owner.reshape(-1)
    if not causal:
        totals = np.zeros((owner.max() + 1, classes))
        np.add.at(totals, owner, one_hot)
        others: FloatArray = totals[owner] - one_hot
        return others
    order = np.argsort(owner, kind="stable")  # group by group, each in order of time
    before = np.cumsum(one_hot[order], 0) - one_hot[order]
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    sizes = np.diff([*starts, len(order)])
    earlier: FloatArray = np.empty_like(before)
    earlier[order] = before - np.repeat(before[starts], sizes, 0)
    return earlier


def evidence(counts: FloatArray, prior: FloatArray, strength: float) -> FloatArray:
    """The log (N, C) of a smoothed distribution over that of the corpus.

    It is log (n_c + s π_c) / (n + s) − log π_c: 0 where nothing is known.

    Args:
        counts: (N, C), see [`label_counts`].
        prior: The distribution π (C,) of the corpus; every class occurs.
        strength: The number of turns s that the prior counts for.
    """
    smoothed = (counts + strength * prior) / (counts.sum(-1, keepdims=True) + strength)
    found: FloatArray = np.log(smoothed) - np.log(prior)
    return found


def with_evidence(
    logits: FloatArray, gold: npt.NDArray[Any], folds: npt.NDArray[Any], counts: FloatArray
) -> FloatArray:
    """Add the evidence of `counts` to log-probabilities, and return the sum (N, C).

    Strength and weight have the highest likelihood on the turns of the other folds.

    Args:
        logits: Log-probabilities (N, C), each of a model that saw nothing of the fold.
        gold: Label ids (N,).
        folds: The fold (N,) of each turn.
        counts: (N, C), see [`label_counts`].
    """
    prior = np.bincount(gold, minlength=logits.shape[1]) + 1.0
    prior /= prior.sum()
    settings = [
        logits + weight * evidence(counts, prior, strength) for strength in STRENGTHS for weight in WEIGHTS
    ]
    likelihoods = np.stack([_log_likelihood(sums, gold) for sums in settings])  # (G, N)
    result = np.empty_like(logits)
    for fold in np.unique(folds):
        best = int(likelihoods[:, folds != fold].mean(1).argmax())
        result[folds == fold] = settings[best][folds == fold]
    return result


def group_ids(*parts: Sequence[Any]) -> npt.NDArray[np.intp]:
    """Number the distinct combinations (N,) of several columns."""
    numbers: dict[tuple[Any, ...], int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in zip(*parts, strict=True)], np.intp)


def _log_likelihood(logits: FloatArray, gold: npt.NDArray[Any]) -> FloatArray:
    found: FloatArray = logits[np.arange(len(gold)), gold] - np.logaddexp.reduce(logits, axis=-1)
    return found
