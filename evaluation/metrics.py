"""Compute the field's metrics with scikit-learn."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from ..errors import EmoNetError

# The three-class view of Zahiri & Choi 2018. Surprise belongs to no side, so MELD has no
# such view: neither a side of our choice nor a smaller test set would be comparable.
_SIDES = {
    label: side
    for side, labels in (
        ("positive", ("joyful", "peaceful", "powerful", "joy")),
        ("negative", ("sad", "mad", "scared", "anger", "disgust", "fear", "sadness")),
        ("neutral", ("neutral",)),
    )
    for label in labels
}


def emotion_metrics(
    references: Sequence[int] | np.ndarray,
    predictions: Sequence[int] | np.ndarray,
    label_names: Sequence[str],
    *,
    ignore_index: int = -100,
) -> dict[str, Any]:
    """Compute all metrics of predictions, as fractions.

    Args:
        references: Annotated label ids (N,).
        predictions: Predicted label ids (N,).
        label_names: Names in order of their ids. Neutral and the three-class sides are
            recognized in upper and lower case.
        ignore_index: Turns with this reference are left out.

    Returns:
        `weighted_f1`, `macro_f1` (over all of `label_names`; a class that never occurs
        counts as 0), `micro_f1_no_neutral` (without neutral, as for DailyDialog),
        `accuracy`, `weighted_f1_3class` and `per_class_3` (positive, neutral, negative;
        both None if a label has no side), `per_class` (precision, recall, f1, support),
        `confusion_matrix` (counts, rows are references) and `n`.

    Raises:
        EmoNetError: if lengths differ, an id is not a label, or no turn is labelled.
    """
    gold, guess = np.asarray(references).reshape(-1), np.asarray(predictions).reshape(-1)
    if gold.shape != guess.shape:
        raise EmoNetError(f"{len(gold)} references for {len(guess)} predictions: give one prediction a turn.")
    kept = gold != ignore_index
    gold, guess = gold[kept], guess[kept]
    if not len(gold):
        raise EmoNetError("No labelled turn to score; label at least one.")
    for name, ids in (("references", gold), ("predictions", guess)):
        if ids.min() < 0 or ids.max() >= len(label_names):
            raise EmoNetError(
                f"{name} hold ids from {ids.min()} to {ids.max()}; labels are 0 to {len(label_names) - 1}."
            )
    labels = list(range(len(label_names)))
    options: dict[str, Any] = {"labels": labels, "zero_division": 0}
    three, per_class_3 = _three_class(gold, guess, label_names)
    others = [label for label in labels if label not in neutral_ids(label_names)]
    return {
        "n": len(gold),
        "weighted_f1": float(f1_score(gold, guess, average="weighted", **options)),
        "macro_f1": float(f1_score(gold, guess, average="macro", **options)),
        "micro_f1_no_neutral": float(f1_score(gold, guess, labels=others, average="micro", zero_division=0)),
        "accuracy": float(accuracy_score(gold, guess)),
        "weighted_f1_3class": three,
        "per_class": _per_class(gold, guess, labels, label_names),
        "per_class_3": per_class_3,
        "confusion_matrix": confusion_matrix(gold, guess, labels=labels).tolist(),
    }


def neutral_ids(label_names: Sequence[str]) -> list[int]:
    """The ids that `micro_f1_no_neutral` leaves out."""
    return [index for index, name in enumerate(label_names) if name.lower() == "neutral"]


def trainer_metrics(label_names: Sequence[str]) -> Callable[[Any], dict[str, float]]:
    """Make a Trainer's `compute_metrics`.

    It takes logits (N, T, C) and labels (N, T), both padded with -100, and returns the
    metrics that are single numbers.
    """

    def compute(prediction: Any) -> dict[str, float]:
        logits = (
            prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        )
        labels = np.asarray(prediction.label_ids).reshape(-1)
        guesses = np.asarray(logits).reshape(-1, np.shape(logits)[-1]).argmax(-1)
        metrics = emotion_metrics(labels, guesses, label_names)
        return {key: value for key, value in metrics.items() if isinstance(value, float)}

    return compute


def _per_class(
    gold: np.ndarray, guess: np.ndarray, labels: Sequence[Any], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 (0 where undefined) and support of each class."""
    figures = precision_recall_fscore_support(gold, guess, labels=labels, zero_division=0)
    return {
        name: {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": int(support),
        }
        for name, precision, recall, f1, support in zip(names, *figures, strict=True)
    }


def _three_class(
    gold: np.ndarray, guess: np.ndarray, label_names: Sequence[str]
) -> tuple[float, dict[str, dict[str, Any]]] | tuple[None, None]:
    """Weighted F1 and metrics of the three sides; (None, None) if a label has no side."""
    sides = [_SIDES.get(name.lower()) for name in label_names]
    if None in sides:
        return None, None
    table, names = np.array(sides), ["positive", "neutral", "negative"]
    gold, guess = table[gold], table[guess]
    weighted_f1 = float(f1_score(gold, guess, average="weighted", zero_division=0))
    return weighted_f1, _per_class(gold, guess, names, names)
