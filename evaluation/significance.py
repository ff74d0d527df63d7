"""Is a difference more than luck? Paired bootstrap and permutation tests over dialogues,
and Holm's correction over rows.

Turns of a dialogue are not independent, so whole dialogues are drawn. The statistic is
the corpus-level metric of the drawn dialogues' turns, averaged over seeds: every seed
sees the same draw. What is tested are the trained models at hand on new dialogues of the
same kind; how results vary with the seed is the deviation that stands beside them.

Shapes: S seeds, D dialogues, C emotions, R resamples.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EmoNetError

METRICS = ("weighted_f1", "macro_f1", "accuracy")
RESAMPLES = 10_000
_TIE = 1e-12  # equal statistics differ by rounding


@dataclass(frozen=True)
class Interval:
    """A system's figure (a fraction, the mean over seeds) with its percentile interval
    over dialogues.
    """

    metric: str
    value: float
    low: float
    high: float
    level: float
    n_dialogues: int
    n_turns: int
    seeds: int


@dataclass(frozen=True)
class Comparison:
    """The second system against the first: the difference of their figures (fractions,
    means over seed pairs).

    Attributes:
        low / high: Percentile interval of the difference at `level`, by the paired
            bootstrap.
        p_permutation / p_bootstrap: Two-sided. The permutation test is the one to go by:
            it needs no large sample.
        seeds: How many seed pairs stand behind it.
    """

    metric: str
    difference: float
    low: float
    high: float
    level: float
    p_permutation: float
    p_bootstrap: float
    n_dialogues: int
    n_turns: int
    seeds: int
    resamples: int


def dialogue_counts(
    gold: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    dialogues: Sequence[Any] | np.ndarray,
    classes: int,
) -> np.ndarray:
    """Confusion counts (D, C, C) by dialogue, rows are references; dialogues in sorted
    order of their ids.

    Args:
        gold / predicted: (N,) label ids from 0 on. dialogues: (N,) the dialogue of each
            turn.
    """
    names, owner = np.unique(np.asarray(dialogues), return_inverse=True)
    cells = (owner.reshape(-1) * classes + np.asarray(gold)) * classes + np.asarray(predicted)
    return np.bincount(cells, minlength=len(names) * classes * classes).reshape(len(names), classes, classes)


def metric_of_counts(counts: np.ndarray, metric: str = "weighted_f1") -> np.ndarray:
    """Confusion counts (..., C, C) → the metric (...), a fraction, as scikit-learn has it
    with `zero_division=0`.
    """
    if metric not in METRICS:
        raise EmoNetError(f"Unknown metric {metric!r}; the metrics are {', '.join(METRICS)}.")
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support = counts.sum(-1)
    total = np.maximum(support.sum(-1), 1)
    if metric == "accuracy":
        return hits.sum(-1) / total
    f1 = 2 * hits / np.maximum(support + counts.sum(-2), 1)
    return f1.mean(-1) if metric == "macro_f1" else (f1 * support).sum(-1) / total


def bootstrap_interval(
    counts: np.ndarray,
    metric: str = "weighted_f1",
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A system's metric with its percentile bootstrap interval (Efron 1979) over
    dialogues; counts (S, D, C, C) or (D, C, C).
    """
    counts = _by_seed(counts)
    draws = _bootstrap_draws(counts.shape[1], resamples, seed)
    low, high = _interval(
        _mean_over_seeds(lambda one: metric_of_counts(_weighted(draws, one), metric), counts), level
    )
    value = float(metric_of_counts(counts.sum(1), metric).mean())
    return Interval(metric, value, low, high, level, counts.shape[1], int(counts[0].sum()), len(counts))


def compare_counts(
    first: np.ndarray,
    second: np.ndarray,
    metric: str = "weighted_f1",
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """The second system against the first on the same dialogues: second minus first.

    The bootstrap is the paired one of Berg-Kirkpatrick et al. 2012 (EMNLP), two-sided: p
    is the share of resamples whose difference is as far from the observed one as that is
    from zero. The permutation test swaps the two systems' outputs dialogue by dialogue,
    in all seeds at once: all 2^D ways where they are no more than `resamples`, else that
    many at random. Sampled p values count the observed one in, so they are never 0.

    Args:
        first / second: Confusion counts (S, D, C, C), or (D, C, C) for one pair of runs;
            row s of both are a pair.

    Raises:
        EmoNetError: where the two were not scored on the same turns.
    """
    first, second = _by_seed(first), _by_seed(second)
    if first.shape != second.shape:
        raise EmoNetError(
            f"Counts of different shapes, {first.shape} and {second.shape}: pair runs on the same dialogues by seed."
        )
    if any((one.sum(-1) != first[0].sum(-1)).any() for one in (*first, *second)):
        raise EmoNetError(
            "The runs were not scored on the same turns: their dialogues' annotated emotions differ."
        )
    pairs = np.stack([first, second], 1)

    def difference(totals: np.ndarray) -> np.ndarray:
        return metric_of_counts(totals[1], metric) - metric_of_counts(totals[0], metric)

    observed = float(_mean_over_seeds(difference, pairs.sum(2))[()])
    draws = _bootstrap_draws(first.shape[1], resamples, seed)
    resampled = _mean_over_seeds(
        lambda pair: difference(np.stack([_weighted(draws, one) for one in pair])), pairs
    )
    swaps, exhaustive = _swaps(first.shape[1], resamples, seed)

    def swapped(pair: np.ndarray) -> np.ndarray:
        moved = _weighted(swaps, pair[1] - pair[0])
        return difference(np.stack([pair[0].sum(0) + moved, pair[1].sum(0) - moved]))

    low, high = _interval(resampled, level)
    return Comparison(
        metric=metric,
        difference=observed,
        low=low,
        high=high,
        level=level,
        p_permutation=_p_value(np.abs(_mean_over_seeds(swapped, pairs)) >= abs(observed) - _TIE, exhaustive),
        p_bootstrap=_p_value(np.abs(resampled - observed) >= abs(observed) - _TIE),
        n_dialogues=first.shape[1],
        n_turns=int(first[0].sum()),
        seeds=len(first),
        resamples=resamples,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values that keep the family-wise error rate (Holm 1979), in the order
    given.
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def _by_seed(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    counts = counts[None] if counts.ndim == 3 else counts
    if counts.ndim != 4 or counts.shape[-1] != counts.shape[-2] or not counts.size:
        raise EmoNetError(
            f"Counts of shape {counts.shape}: give (seeds, dialogues, classes, classes), none of them empty."
        )
    return counts


def _bootstrap_draws(dialogues: int, resamples: int, seed: int) -> np.ndarray:
    """(R, D): how often each dialogue is drawn."""
    return np.random.default_rng([seed, 0]).multinomial(
        dialogues, np.full(dialogues, 1 / dialogues), size=resamples
    )


def _swaps(dialogues: int, resamples: int, seed: int) -> tuple[np.ndarray, bool]:
    """(R, D) of 0 and 1: which dialogues' outputs change sides; and whether these are all
    the ways there are.
    """
    if dialogues <= math.log2(resamples):
        return np.arange(2**dialogues)[:, None] >> np.arange(dialogues) & 1, True
    return np.random.default_rng([seed, 1]).integers(0, 2, (resamples, dialogues)), False


def _weighted(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R, D) weights and (D, C, C) counts → (R, C, C), their weighted sums."""
    flat = counts.reshape(len(counts), -1).astype(float)
    return (weights.astype(float) @ flat).reshape(-1, *counts.shape[1:])


def _mean_over_seeds(statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """The mean of `statistic` over the first axis, one seed at a time so that memory
    stays that of one.
    """
    return np.mean([statistic(one) for one in values], axis=0)


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p_value(extreme: np.ndarray, exhaustive: bool = False) -> float:
    return float(extreme.mean()) if exhaustive else float((1 + extreme.sum()) / (1 + len(extreme)))
