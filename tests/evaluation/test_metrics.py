"""Metrics equal scikit-learn's on random inputs, with missing classes and padding."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import classification_report, f1_score
from tiny import LABELS

from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics, trainer_metrics


@pytest.mark.parametrize("seed", range(20))
def test_figures_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.choice(7, size=rng.integers(1, 8), replace=False)  # some seeds lack classes
    gold, guess = rng.choice(classes, 200), rng.integers(0, 7, 200)
    hidden = rng.random(200) < 0.2
    metrics = emotion_metrics(np.where(hidden, -100, gold), guess, LABELS)
    gold, guess = gold[~hidden], guess[~hidden]
    report = classification_report(
        gold, guess, labels=range(7), target_names=LABELS, output_dict=True, zero_division=0
    )
    assert metrics["n"] == len(gold)
    assert metrics["weighted_f1"] == pytest.approx(report["weighted avg"]["f1-score"])
    assert metrics["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert metrics["accuracy"] == pytest.approx((gold == guess).mean())
    others = [label for label in range(7) if LABELS[label] != "Neutral"]
    expected = f1_score(gold, guess, labels=others, average="micro", zero_division=0)
    assert metrics["micro_f1_no_neutral"] == pytest.approx(expected)
    for name in LABELS:
        assert metrics["per_class"][name]["f1"] == pytest.approx(report[name]["f1-score"])
        assert metrics["per_class"][name]["support"] == report[name]["support"]
    assert np.sum(metrics["confusion_matrix"]) == len(gold)


def test_three_classes_merge_sides() -> None:
    joyful, peaceful, sad, mad = (LABELS.index(name) for name in ("Joyful", "Peaceful", "Sad", "Mad"))
    metrics = emotion_metrics([joyful, sad], [peaceful, mad], LABELS)
    assert metrics["weighted_f1"] == 0 and metrics["weighted_f1_3class"] == 1
    sides = metrics["per_class_3"]
    assert list(sides) == ["positive", "neutral", "negative"]
    assert (
        sides["positive"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
        and sides["neutral"]["support"] == 0
    )
    surprised = emotion_metrics([0], [0], ["neutral", "surprise"])
    assert surprised["weighted_f1_3class"] is None and surprised["per_class_3"] is None


def test_neutral_is_known_in_any_letter_case() -> None:
    for name in ("neutral", "Neutral", "NEUTRAL"):
        assert emotion_metrics([0, 1, 1], [0, 1, 0], [name, "joy"])["micro_f1_no_neutral"] == pytest.approx(
            2 / 3
        )


def test_a_class_that_never_occurs_counts_as_zero_in_macro_f1() -> None:
    metrics = emotion_metrics([0, 1], [0, 1], LABELS)
    assert metrics["macro_f1"] == pytest.approx(2 / 7) and metrics["weighted_f1"] == 1


def test_trainer_metrics_mask_padding() -> None:
    logits = np.full((2, 3, 7), -100.0)
    labels = np.full((2, 3), -100)
    for row, turn, label in ((0, 0, 2), (0, 1, 5), (1, 0, 1)):
        logits[row, turn] = np.eye(7)[label]
        labels[row, turn] = label
    labels[1, 0] = 0
    figures = trainer_metrics(LABELS)(SimpleNamespace(predictions=logits, label_ids=labels))
    assert figures["accuracy"] == pytest.approx(2 / 3) and all(
        isinstance(value, float) for value in figures.values()
    )


@pytest.mark.parametrize(
    ("gold", "guess", "message"),
    [
        ([0, 1], [0], "2 references for 1"),
        ([-100], [0], "No labelled turn"),
        ([0], [7], "ids from 7 to 7"),
        ([8], [0], "references hold"),
    ],
)
def test_wrong_inputs_are_named(gold: list[int], guess: list[int], message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        emotion_metrics(gold, guess, LABELS)
