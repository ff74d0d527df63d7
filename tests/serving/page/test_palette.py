"""Colours can be told apart, texts on them read; no symbol occurs twice."""

from itertools import combinations

import numpy as np
import pytest

from emonet.data.schema import EMORYNLP_LABELS, MELD_LABELS
from emonet.serving.page.palette import contrast, linear_rgb, looks

# Machado, Oliveira & Fernandes (2009), "A Physiologically-based Model for Simulation of
# Color Vision Deficiency", severity 1.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
LABEL_SETS = [
    EMORYNLP_LABELS,
    MELD_LABELS,
    ["happy", "sad", "angry", "neutral", "excited", "frustrated"],
    list("abcdefgh"),
]


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as somebody sees it."""
    xyz = XYZ @ np.clip(sight @ np.array(linear_rgb(colour)), 0, 1) / np.array([0.95047, 1, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("labels", LABEL_SETS, ids=lambda labels: labels[0])
@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_emotions_look_alike(labels: list[str], sight: str) -> None:
    seen = {label: lab(look.colour, SIGHT[sight]) for label, look in looks(labels).items()}
    for one, other in combinations(labels, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


@pytest.mark.parametrize(
    "labels", [*LABEL_SETS, [f"emotion {number}" for number in range(30)]], ids=lambda labels: labels[0]
)
def test_every_label_is_legible_and_symbols_are_its_own(labels: list[str]) -> None:
    chosen = looks(labels)
    assert list(chosen) == labels
    assert min(contrast(look.ink, look.colour) for look in chosen.values()) >= 4.5
    first = list(chosen.values())[:12]
    assert len({look.symbol for look in first}) == len({look.marker for look in first}) == len(first)


def test_a_family_looks_the_same_under_its_names() -> None:
    emory, meld = looks(EMORYNLP_LABELS), looks(MELD_LABELS)
    for one, other in (
        ("Joyful", "joy"),
        ("Mad", "anger"),
        ("Neutral", "neutral"),
        ("Sad", "sadness"),
        ("Scared", "fear"),
    ):
        assert emory[one] == meld[other]
