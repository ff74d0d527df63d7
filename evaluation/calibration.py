"""How far a confidence can be believed: expected calibration error, reliability,
temperature scaling.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import EmoNetError

_SMALLEST = 5e-5  # scores are kept with four decimals


@dataclass(frozen=True)
class Calibration:
    """Reliability by bins of equal width over the confidence, the largest score of a
    turn.

    Attributes:
        ece: Expected calibration error, a fraction. edges: (B + 1,) borders. n: (B,)
            turns in each bin. confidence / accuracy: (B,) means in each bin, NaN where it
            is empty.
    """

    ece: float
    edges: np.ndarray
    n: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def calibration(scores: np.ndarray, gold: np.ndarray, bins: int = 15) -> Calibration:
    """Expected calibration error (Guo et al. 2017, ICML, eq. 3): Σ_b n_b / N ·
    |accuracy_b - confidence_b|.

    Args:
        scores: (N, C) distributions. gold: (N,) label ids. bins: How many of equal width;
            a border belongs to the lower one.
    """
    scores, gold = _checked(scores, gold)
    confidence, right = scores.max(-1), scores.argmax(-1) == gold
    edges = np.linspace(0, 1, bins + 1)
    owner = np.clip(np.ceil(confidence * bins - 1e-9).astype(int) - 1, 0, bins - 1)
    n = np.bincount(owner, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(owner, confidence, bins) / n
        accuracy = np.bincount(owner, right, bins) / n
    ece = float(np.nansum(n * np.abs(accuracy - mean_confidence)) / len(gold))
    return Calibration(ece, edges, n, mean_confidence, accuracy)


def fit_temperature(scores: np.ndarray, gold: np.ndarray) -> float:
    """The temperature T that makes `with_temperature(scores, T)` most likely (Guo et al.
    2017, section 4.2).

    Fit it on validation and use it on test. Scores do as well as logits: their logarithms
    differ by a constant. T > 1 where the model is too sure of itself. Searched between
    0.05 and 20, by golden section over log T, in which the loss has one valley.
    """
    scores, gold = _checked(scores, gold)
    logits = np.log(np.maximum(scores, _SMALLEST))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((np.logaddexp.reduce(scaled, axis=-1) - scaled[np.arange(len(gold)), gold]).mean())

    low, high, ratio = np.log(0.05), np.log(20), (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def with_temperature(scores: np.ndarray, temperature: float) -> np.ndarray:
    """(N, C) distributions, flattened by T > 1 and sharpened by T < 1; the order of the
    labels stays.
    """
    scaled = np.log(np.maximum(scores, _SMALLEST)) / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True))


def _checked(scores: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, gold = np.asarray(scores, dtype=float), np.asarray(gold)
    if scores.ndim != 2 or gold.shape != scores.shape[:1] or not len(gold):
        raise EmoNetError(
            f"Scores {scores.shape} and labels {gold.shape}: give (N, C) and (N,), and at least one turn."
        )
    return scores, gold
