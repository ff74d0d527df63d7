"""Analyses of dialogues that are small enough to count by hand."""

import math
from typing import Any

import numpy as np
import pytest

from emonet.errors import EmoNetError
from emonet.evaluation.analysis import (
    by_speaker,
    figures_by,
    most_confused_pair,
    pair_confusion,
    position_groups,
    score_matrix,
    shift_groups,
    speaker_groups,
)
from emonet.evaluation.calibration import calibration, fit_temperature, with_temperature

LABELS = ["Joyful", "Neutral", "Powerful", "Sad"]


def turn(dialogue: str, index: int, speaker: str, emotion: str | None, predicted: str) -> dict[str, Any]:
    return {
        "dialogue_id": dialogue,
        "turn": index,
        "speaker": speaker,
        "emotion": emotion,
        "predicted": predicted,
    }


ROWS = [
    turn("a", 0, "Ann", "Sad", "Sad"),
    turn("a", 1, "Bob", "Joyful", "Joyful"),
    turn("a", 2, "Ann", "Sad", "Joyful"),  # the same as Ann's previous, not as Bob's
    turn("a", 3, "Bob", None, "Sad"),
    # A shift from Bob's Joyful: the turn without an emotion is skipped.
    turn("a", 4, "Bob", "Powerful", "Joyful"),
    turn("a", 5, "Ann", "Powerful", "Powerful"),  # a shift of Ann's, the same as Bob's
    turn("b", 0, "Ann", "Powerful", "Sad"),  # a new dialogue
    turn("b", 1, "The Waiter", "Joyful", "Powerful"),
]


def test_shifts_from_the_speakers_previous_turn() -> None:
    assert shift_groups(ROWS) == [None, None, "same", None, "shift", "shift", None, None]


def test_shifts_from_the_dialogues_previous_turn() -> None:
    assert shift_groups(ROWS, "turn") == [None, "shift", "shift", None, "shift", "same", None, "shift"]
    with pytest.raises(EmoNetError, match="'dialogue' is not one of speaker, turn"):
        shift_groups(ROWS, "dialogue")


@pytest.mark.parametrize("against", ["speaker", "turn"])
def test_the_order_of_rows_does_not_matter(against: str) -> None:
    order = [5, 2, 7, 0, 4, 1, 6, 3]
    shuffled = shift_groups([ROWS[index] for index in order], against)
    expected = shift_groups(ROWS, against)
    assert shuffled == [expected[index] for index in order]
    assert position_groups([ROWS[index] for index in order]) == [
        position_groups(ROWS)[index] for index in order
    ]


def test_first_turns_open_a_dialogue() -> None:
    assert position_groups(ROWS) == ["first", *["later"] * 5, "first", "later"]
    assert position_groups(ROWS[1:3]) == ["first", "later"]


def test_speakers_are_seen_by_the_registry() -> None:
    assert (
        speaker_groups(ROWS, ["Ann"])[:2] == ["seen", "unseen"]
        and speaker_groups(ROWS, ["Ann", "Bob"])[-1] == "unseen"
    )


def test_groups_are_scored_apart_and_unannotated_turns_left_out() -> None:
    figures = figures_by(ROWS, speaker_groups(ROWS, ["Ann"]), LABELS)
    assert list(figures) == ["seen", "unseen"]
    assert figures["seen"] == {
        "n": 4,
        "accuracy": 0.5,
        "weighted_f1": pytest.approx((2 * 0.5 + 2 * 2 / 3) / 4),
        "macro_f1": pytest.approx(7 / 24),
    }
    assert figures["unseen"]["n"] == 3 and figures["unseen"]["accuracy"] == pytest.approx(1 / 3)
    assert figures_by(ROWS, [None] * len(ROWS), LABELS) == {}


def test_speakers_are_ordered_by_turns() -> None:
    figures = by_speaker(ROWS, LABELS)
    assert [(name, row["n"]) for name, row in figures.items()] == [("Ann", 4), ("Bob", 2), ("The Waiter", 1)]
    with pytest.raises(EmoNetError, match="has no speaker"):
        by_speaker([{**ROWS[0], "speaker": ""}], LABELS)


def test_a_pair_of_emotions_is_confused_both_ways() -> None:
    pair = pair_confusion(ROWS, "Joyful", "Powerful")
    assert pair["first"] == {"emotion": "Joyful", "n": 2, "right": 0.5, "as_other": 0.5}
    assert pair["second"] == {
        "emotion": "Powerful",
        "n": 3,
        "right": pytest.approx(1 / 3),
        "as_other": pytest.approx(1 / 3),
    }
    assert pair["confused"] == pytest.approx(2 / 5)
    assert pair_confusion(ROWS, "Neutral", "Neutral")["confused"] == 0
    assert most_confused_pair(ROWS, LABELS) == ("Joyful", "Powerful")


def test_scores_become_a_matrix_in_order_of_the_labels() -> None:
    rows = [{"scores": {"Sad": 0.1, "Joyful": 0.2, "Powerful": 0.3, "Neutral": 0.4}}]
    assert score_matrix(rows, LABELS).tolist() == [[0.2, 0.4, 0.3, 0.1]]
    with pytest.raises(EmoNetError, match="have no score for every label"):
        score_matrix(ROWS, LABELS)


def test_calibration_of_a_hand_made_case() -> None:
    """Four bins: two turns at 0.6, one of them right, and two at 0.9, both right."""
    scores = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    result = calibration(scores, np.array([0, 0, 0, 1]), bins=4)
    assert result.ece == pytest.approx(0.5 * abs(0.5 - 0.6) + 0.5 * abs(1 - 0.9))
    assert result.n.tolist() == [0, 0, 2, 2] and result.accuracy[2:].tolist() == [0.5, 1]
    assert result.confidence[2:] == pytest.approx([0.6, 0.9]) and math.isnan(result.accuracy[0])
    assert calibration(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), bins=2).n.tolist() == [1, 1]
    with pytest.raises(EmoNetError, match="at least one turn"):
        calibration(np.zeros((0, 2)), np.zeros(0, int))


def test_sharpening_a_calibrated_model_adds_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([0.7] * 4, 20_000)
    gold = (rng.random((20_000, 1)) > scores.cumsum(-1)).sum(-1)
    assert calibration(scores, gold).ece < 0.01
    assert calibration(with_temperature(scores, 0.5), gold).ece > 0.05


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_applied_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(1)
    true = rng.dirichlet([1.0] * 3, 20_000)
    gold = (rng.random((20_000, 1)) > true.cumsum(-1)).sum(-1)
    scores = with_temperature(true, 1 / temperature)
    assert fit_temperature(scores, gold) == pytest.approx(temperature, rel=0.05)
    assert (with_temperature(scores, temperature).argmax(-1) == scores.argmax(-1)).all()
    assert with_temperature(scores, temperature).sum(-1) == pytest.approx(1)
