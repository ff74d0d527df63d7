"""Test differences by paired bootstrap and permutation over dialogues.

Turns of a dialogue are not independent, so whole dialogues are resampled. The statistic
is the corpus-level metric of the sampled dialogues' turns, averaged over seeds; all seeds
use the same sample. The tests are about these trained models on new dialogues of the same
kind. The variation between seeds is a separate figure, the standard deviation.

Shapes: S seeds, D dialogues, C emotions, R resamples.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EmoNetError

Array = npt.NDArray[Any]

METRICS = ("weighted_f1", "macro_f1", "accuracy")
NO_NEUTRAL = "micro_f1_no_neutral"  # needs to know which classes are neutral
RESAMPLES = 10_000
_TIE = 1e-12  # equal statistics differ by rounding


@dataclass(frozen=True)
class Interval:
    """A system's metric with its percentile interval over dialogues.

    Attributes:
        metric: As in [`metric_of_counts`].
        value: The mean over seeds, a fraction.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Coverage of the interval.
        n_dialogues: The number of dialogues.
        n_turns: The number of annotated turns.
        seeds: The number of runs.
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
    """The difference of two systems: second minus first, the mean over seed pairs.

    Attributes:
        metric: As in [`metric_of_counts`].
        difference: The difference, a fraction.
        low: Lower end of the paired bootstrap's percentile interval.
        high: Upper end of the interval.
        level: Coverage of the interval.
        p_permutation: Two-sided p value of the permutation test. Prefer it: it needs no
            large sample.
        p_bootstrap: Two-sided p value of the paired bootstrap.
        n_dialogues: The number of dialogues.
        n_turns: The number of annotated turns.
        seeds: The number of seed pairs.
        resamples: The number of samples in each test.
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


@dataclass(frozen=True)
class Contrast:
    """A linear combination of several systems' metrics, the mean over seeds.

    Attributes:
        difference: The combination, a fraction.
        low: Lower end of the paired bootstrap's percentile interval.
        high: Upper end of the interval.
        p: Two-sided p value of the paired bootstrap.
    """

    difference: float
    low: float
    high: float
    p: float


def dialogue_counts(
    gold: Sequence[int] | Array,
    predicted: Sequence[int] | Array,
    dialogues: Sequence[Any] | Array,
    classes: int,
) -> Array:
    """Count the confusions (D, C, C) of each dialogue; rows are references.

    Dialogues are in sorted order of their ids.

    Args:
        gold: Annotated label ids (N,), from 0.
        predicted: Predicted label ids (N,).
        dialogues: The dialogue (N,) of each turn.
        classes: The number of classes C.
    """
    names, owner = np.unique(np.asarray(dialogues), return_inverse=True)
    cells = (owner.reshape(-1) * classes + np.asarray(gold)) * classes + np.asarray(predicted)
    return np.bincount(cells, minlength=len(names) * classes * classes).reshape(len(names), classes, classes)


def metric_of_counts(counts: Array, metric: str = "weighted_f1", neutral: Sequence[int] = ()) -> Array:
    """Compute a metric (...) from confusion counts (..., C, C), as a fraction.

    It equals scikit-learn's with `zero_division=0`.

    Args:
        counts: Rows are references.
        metric: One of `METRICS`, or `micro_f1_no_neutral`.
        neutral: The classes that `micro_f1_no_neutral` leaves out.

    Raises:
        EmoNetError: for an unknown metric.
    """
    if metric not in (*METRICS, NO_NEUTRAL):
        known = ", ".join((*METRICS, NO_NEUTRAL))
        raise EmoNetError(f"Unknown metric {metric!r}; the metrics are {known}.")
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support = counts.sum(-1)
    total = np.maximum(support.sum(-1), 1)
    f1 = 2 * hits / np.maximum(support + counts.sum(-2), 1)
    value: Array
    if metric == "accuracy":
        value = hits.sum(-1) / total
    elif metric == "macro_f1":
        value = f1.mean(-1)
    elif metric == NO_NEUTRAL:
        others = [label for label in range(counts.shape[-1]) if label not in neutral]
        found = (support + counts.sum(-2))[..., others].sum(-1)
        value = 2 * hits[..., others].sum(-1) / np.maximum(found, 1)
    else:
        value = (f1 * support).sum(-1) / total
    return value


def bootstrap_interval(
    counts: Array,
    metric: str = "weighted_f1",
    *,
    neutral: Sequence[int] = (),
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Compute a system's metric with its bootstrap interval (Efron 1979) over dialogues.

    Args:
        counts: Confusion counts (S, D, C, C), or (D, C, C) for one run.
        metric: As in [`metric_of_counts`].
        neutral: As in [`metric_of_counts`].
        resamples: The number of bootstrap samples.
        level: Coverage of the percentile interval.
        seed: Seed of the sampling.

    Raises:
        EmoNetError: for counts of another shape or an unknown metric.
    """
    counts = _by_seed(counts)
    draws = _bootstrap_draws(counts.shape[1], resamples, seed)
    low, high = _interval(
        _mean_over_seeds(lambda run: metric_of_counts(_weighted(draws, run), metric, neutral), counts), level
    )
    value = float(metric_of_counts(counts.sum(1), metric, neutral).mean())
    return Interval(metric, value, low, high, level, counts.shape[1], int(counts[0].sum()), len(counts))


def compare_counts(
    first: Array,
    second: Array,
    metric: str = "weighted_f1",
    *,
    neutral: Sequence[int] = (),
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same dialogues; differences are second minus first.

    The bootstrap is that of Berg-Kirkpatrick et al. 2012 (EMNLP), paired and two-sided: p
    is the share of samples whose difference is at least as far from the observed one as
    the observed one is from zero. The permutation test swaps the systems' outputs on
    random dialogues, the same in all seeds. It tries all 2^D assignments if these are at
    most `resamples`, else `resamples` random ones. A sampled p value counts the observed
    difference too, so it is never 0.

    Args:
        first: Confusion counts (S, D, C, C) of the first system, or (D, C, C) of one run.
        second: Counts of the second system. Runs with the same index are a pair.
        metric: As in [`metric_of_counts`].
        neutral: As in [`metric_of_counts`].
        resamples: The number of bootstrap samples, and the most permutations to try.
        level: Coverage of the percentile interval.
        seed: Seed of the sampling.

    Raises:
        EmoNetError: if the systems were not scored on the same turns.
    """
    first, second = _by_seed(first), _by_seed(second)
    if first.shape != second.shape:
        raise EmoNetError(
            f"Counts have different shapes, {first.shape} and {second.shape}: give runs on the same "
            "dialogues with the same number of seeds."
        )
    if any((run.sum(-1) != first[0].sum(-1)).any() for run in (*first, *second)):
        raise EmoNetError(
            "The runs were not scored on the same turns: the annotated emotions of their dialogues "
            "differ. Compare runs on the same split of the same corpus version."
        )
    pairs = np.stack([first, second], 1)

    def difference(totals: Array) -> Array:
        before, after = (metric_of_counts(total, metric, neutral) for total in totals)
        difference: Array = after - before
        return difference

    observed = float(_mean_over_seeds(difference, pairs.sum(2))[()])
    draws = _bootstrap_draws(first.shape[1], resamples, seed)
    resampled = _mean_over_seeds(
        lambda pair: difference(np.stack([_weighted(draws, run) for run in pair])), pairs
    )
    swaps, exhaustive = _swaps(first.shape[1], resamples, seed)

    def swapped(pair: Array) -> Array:
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


def contrasts_of_counts(
    systems: Sequence[Array],
    weights: Array,
    metric: str = "weighted_f1",
    *,
    neutral: Sequence[int] = (),
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> list[Contrast]:
    """Test linear combinations of systems' metrics on the same dialogues.

    The effect of a factor in a factorial experiment is such a combination. All systems
    are scored on the same bootstrap samples of the dialogues, as in [`compare_counts`].

    Args:
        systems: Confusion counts (S, D, C, C) of each system; S may differ.
        weights: The combinations (K, systems).
        metric: As in [`metric_of_counts`].
        neutral: As in [`metric_of_counts`].
        resamples: The number of bootstrap samples.
        level: Coverage of the percentile intervals.
        seed: Seed of the sampling.

    Raises:
        EmoNetError: if the systems were not scored on the same turns.
    """
    counts = [_by_seed(system) for system in systems]
    gold = counts[0][0].sum(-1)
    if any(run.shape[:2] != gold.shape or (run.sum(-1) != gold).any() for system in counts for run in system):
        raise EmoNetError("The systems were not scored on the same turns; give runs on the same split.")
    draws = _bootstrap_draws(len(gold), resamples, seed)

    def scores(of_draws: Array) -> Array:
        """(K, R): the combinations of the systems' metrics on samples (R, D)."""
        values = [
            _mean_over_seeds(lambda run: metric_of_counts(_weighted(of_draws, run), metric, neutral), system)
            for system in counts
        ]
        combined: Array = np.asarray(weights, float) @ np.stack(values)
        return combined

    observed = scores(np.ones((1, len(gold))))[:, 0]
    return [
        Contrast(
            float(value),
            *_interval(resampled, level),
            _p_value(np.abs(resampled - value) >= abs(value) - _TIE),
        )
        for value, resampled in zip(observed, scores(draws), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values to control the family-wise error rate (Holm 1979), order kept."""
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def _by_seed(counts: Array) -> Array:
    counts = np.asarray(counts)
    counts = counts[None] if counts.ndim == 3 else counts
    if counts.ndim != 4 or counts.shape[-1] != counts.shape[-2] or not counts.size:
        raise EmoNetError(
            f"Counts have shape {counts.shape}: give (seeds, dialogues, classes, classes), none empty."
        )
    return counts


def _bootstrap_draws(dialogues: int, resamples: int, seed: int) -> Array:
    """How often (R, D) each dialogue is drawn."""
    rng = np.random.default_rng([seed, 0])
    return rng.multinomial(dialogues, np.full(dialogues, 1 / dialogues), size=resamples)


def _swaps(dialogues: int, resamples: int, seed: int) -> tuple[Array, bool]:
    """Which dialogues to swap (R, D), 0 or 1; and whether these are all permutations."""
    if dialogues <= math.log2(resamples):
        return np.arange(2**dialogues)[:, None] >> np.arange(dialogues) & 1, True
    return np.random.default_rng([seed, 1]).integers(0, 2, (resamples, dialogues)), False


def _weighted(weights: Array, counts: Array) -> Array:
    """Sum counts (D, C, C) with weights (R, D) into (R, C, C)."""
    flat = counts.reshape(len(counts), -1).astype(float)
    sums: Array = weights.astype(float) @ flat
    return sums.reshape(-1, *counts.shape[1:])


def _mean_over_seeds(statistic: Callable[[Array], Array], values: Array) -> Array:
    """Average `statistic` over the first axis, one seed at a time to save memory."""
    mean: Array = np.mean([statistic(of_seed) for of_seed in values], axis=0)
    return mean


def _interval(values: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p_value(extreme: Array, exhaustive: bool = False) -> float:
    return float(extreme.mean()) if exhaustive else float((1 + extreme.sum()) / (1 + len(extreme)))
