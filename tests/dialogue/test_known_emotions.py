"""Known emotions are labels or distributions; anything else is named and refused."""

import math
from typing import Any

import numpy as np
import pytest

from emonet.dialogue.known_emotions import known_distribution
from emonet.errors import EmoNetError

LABELS = ["Joyful", "Mad", "Sad"]
MAD = [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mad", MAD),
        (" Mad ", MAD),
        (["Mad"], MAD),
        (["Mad", "Mad"], MAD),
        ({"Mad": 1}, MAD),
        ({"Mad": 0.25, "Sad": 0.75}, [0, 0.25, 0.75]),
        ('{"Mad": 0.25, "Sad": 0.75}', [0, 0.25, 0.75]),
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ("[0.2, 0.3, 0.5]", [0.2, 0.3, 0.5]),
        (np.array([0.25, 0.25, 0.5]), [0.25, 0.25, 0.5]),
        ({"Joyful": None, "Mad": 1.0}, MAD),  # as Parquet writes a mapping
    ],
)
def test_labels_and_distributions(value: Any, expected: list[float]) -> None:
    assert known_distribution({"known_emotion": value}, LABELS) == pytest.approx(expected)


@pytest.mark.parametrize("value", [None, "", "  ", math.nan])
def test_empty_values_are_unknown(value: Any) -> None:
    assert known_distribution({"known_emotion": value, "emotion": "Mad"}, LABELS) is None


def test_the_gold_label_is_not_known() -> None:
    assert known_distribution({"emotion": "Mad"}, LABELS) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mad", "'mad' is not a label of this model, which has Joyful, Mad, Sad"),
        ({"Angry": 1.0}, "'Angry' is not a label"),
        (["Mad", "Sad"], "several known emotions .'Mad', 'Sad'.: give one"),
        ({"Mad": 0.5}, "not a distribution.*add up to 0.5"),
        ({"Mad": -0.5, "Sad": 1.5}, "not a distribution"),
        ({"Mad": "1"}, "not a distribution"),
        ({"Mad": True}, "not a distribution"),
        ({}, "not a distribution.*add up to 0"),
        ([math.nan, 0.5, 0.5], "not a distribution"),
        ([0.5, 0.5], "2 numbers for 3 labels .Joyful, Mad, Sad."),
        ([], "0 numbers for 3 labels"),
        (3, "known_emotion is int"),
        ("{Mad: 1}", "not valid JSON"),
    ],
)
def test_other_values_are_refused(value: Any, words: str) -> None:
    with pytest.raises(EmoNetError, match=f"Turn 4.*{words}"):
        known_distribution({"known_emotion": value}, LABELS, 4)
