"""Measure the calibration of confidences and fit a temperature."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EmoNetError

FloatArray = npt.NDArray[np.floating[Any]]

_SMALLEST = 5e-5  # half of the smallest score that four decimals can hold


@dataclass(frozen=True)
class Calibration:
    """Reliability in B bins of equal width over the confidence, a turn's largest score.

    Attributes:
        ece: Expected calibration error, a fraction.
        edges: Edges of the bins (B + 1,).
        n: Turns in each bin (B,).
        confidence: Mean confidence in each bin (B,), NaN if it is empty.
        accuracy: Accuracy in each bin (B,), NaN if it is empty.
    """

    ece: float
    edges: FloatArray
    n: npt.NDArray[np.intp]
    confidence: FloatArray
    accuracy: FloatArray


def calibration(scores: npt.NDArray[Any], gold: npt.NDArray[Any], bins: int = 15) -> Calibration:
    """Compute the expected calibration error (Guo et al. 2017, ICML, eq. 3).

    It is Σ_b n_b / N · |accuracy_b - confidence_b|.

    Args:
        scores: Distributions (N, C).
        gold: Label ids (N,).
        bins: The number of bins. An edge belongs to the bin below it.

    Raises:
        EmoNetError: if shapes do not match or there is no turn.
    """
    scores, gold = _checked(scores, gold)
    confidence, right = scores.max(-1), scores.argmax(-1) == gold
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.ceil(confidence * bins - 1e-9).astype(int) - 1, 0, bins - 1)
    n = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bin_of, confidence, bins) / n
        accuracy = np.bincount(bin_of, right, bins) / n
    ece = float(np.nansum(n * np.abs(accuracy - mean_confidence)) / len(gold))
    return Calibration(ece, edges, n, mean_confidence, accuracy)


def fit_temperature(scores: npt.NDArray[Any], gold: npt.NDArray[Any]) -> float:
    """Fit the temperature T that maximizes the likelihood of the labels.

    See Guo et al. 2017, section 4.2. Fit T on validation and apply it to test with
    [`with_temperature`]. T > 1 means that the model is overconfident. Scores work as well
    as logits, because the logarithms of scores differ from logits by a constant only.

    Args:
        scores: Distributions (N, C).
        gold: Label ids (N,).

    Raises:
        EmoNetError: if shapes do not match or there is no turn.
    """
    scores, gold = _checked(scores, gold)
    logits = np.log(np.maximum(scores, _SMALLEST))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((np.logaddexp.reduce(scaled, axis=-1) - scaled[np.arange(len(gold)), gold]).mean())

    # Golden-section search over log T, in which the loss has a single minimum.
    low, high, ratio = np.log(0.05), np.log(20), (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def with_temperature(scores: npt.NDArray[Any], temperature: float) -> FloatArray:
    """Apply a temperature T to distributions (N, C): T > 1 flattens, T < 1 sharpens.

    The order of a turn's labels stays the same.
    """
    scaled = np.log(np.maximum(scores, _SMALLEST)) / temperature
    probabilities: FloatArray = np.exp(scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True))
    return probabilities


def _checked(scores: npt.NDArray[Any], gold: npt.NDArray[Any]) -> tuple[FloatArray, npt.NDArray[Any]]:
    scores, gold = np.asarray(scores, dtype=float), np.asarray(gold)
    if scores.ndim != 2 or gold.shape != scores.shape[:1] or not len(gold):
        raise EmoNetError(
            f"Scores {scores.shape} and labels {gold.shape}: give (N, C) and (N,), and at least one turn."
        )
    return scores, gold
