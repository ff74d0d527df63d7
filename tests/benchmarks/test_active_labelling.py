"""The simulation of annotators: orders, evidence, and the labels that are needed."""

from collections.abc import Mapping

import numpy as np
import pytest

from emonet.benchmarks.active_labelling import (
    EVIDENCE,
    ORDERS,
    TARGETS,
    Trajectory,
    draw_curves,
    label_corpus,
    label_dialogue,
    labels_needed,
    report_text,
    simulate,
)
from emonet.errors import EmoNetError

GOLD = [0, 0, 1, 1]
FIXED = np.array([[0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.8, 0.2]])  # right, wrong, right, wrong


def contagious(given: Mapping[int, int]) -> np.ndarray:
    """A model in which a given label tells the turns after it."""
    rows = FIXED.copy()
    for turn, label in sorted(given.items()):
        rows[turn + 1 :] = np.eye(2)[label] * 0.8 + 0.1
    return rows


def right(found: Trajectory) -> list[float]:
    return [found.start, *(found.start + np.cumsum(found.gains))]


def test_a_given_turn_counts_as_right() -> None:
    found = label_dialogue(lambda _: FIXED, GOLD, [0, 1, 2, 3], has_evidence=False)
    assert right(found) == [2, 2, 3, 3, 4] and found.scores.tolist() == [0.9, 0.6, 0.55, 0.8]
    assert found.wrong.tolist() == [0, 1, 0, 1]


def test_the_least_certain_turn_comes_first() -> None:
    found = label_dialogue(lambda _: FIXED, GOLD, None, has_evidence=False)
    assert found.scores.tolist() == [0.55, 0.6, 0.8, 0.9] and right(found) == [2, 2, 3, 4, 4]


def test_evidence_tells_other_turns() -> None:
    found = label_dialogue(contagious, GOLD, [2, 1, 0, 3], has_evidence=True)
    assert right(found) == [2, 3, 4, 4, 4], "the third label also mends the fourth turn"
    assert found.wrong.tolist() == [0, 1, 0, 0], "which need not be corrected any more"
    assert right(label_dialogue(contagious, GOLD, [2, 1, 0, 3], has_evidence=False)) == [2, 2, 3, 3, 4]


def test_the_least_certain_of_all_dialogues() -> None:
    first = Trajectory(np.array([0.2, 0.9]), np.array([1.0, 0.0]), np.zeros(2), 0)
    second = Trajectory(np.array([0.5, 0.3]), np.array([0.0, 1.0]), np.zeros(2), 0)
    random = np.random.default_rng(0)
    assert label_corpus(ORDERS[0], [first, second], random).tolist() == [0, 0.25, 0.25, 0.5, 0.5]
    assert label_corpus("in order", [second, first], random).tolist() == [0, 0, 0.25, 0.5, 0.5]
    assert label_corpus("random", [first, second], random)[-1] == 0.5


def test_labels_needed() -> None:
    assert labels_needed(np.array([0.5, 0.6, 0.55, 0.7, 1.0]), 0.6) == 1
    assert labels_needed(np.array([0.7, 1.0]), 0.6) == 0


def models(dialogues: int) -> list[dict[tuple[str, str], list[list[Trajectory]]]]:
    found = {}
    for order, turns in zip(ORDERS, (None, [0, 1, 2, 3], [3, 1, 0, 2]), strict=True):
        for evidence in EVIDENCE:
            one = label_dialogue(contagious, GOLD, turns, evidence != "none")
            found[order, evidence] = [[one] * dialogues]
    return [found]


def test_a_simulation_counts_and_compares(tmp_path: pytest.TempPathFactory) -> None:
    result = simulate(models(6), dialogues=3, draws=20, seed=1)
    assert result["turns"] == 12
    for cells in result["labels"].values():
        shares = [cells[f"{target:.0%}"][0] for target in TARGETS]
        assert shares == sorted(shares) and 0 < shares[0] <= 1
    saved = result["saved"]["in order, evidence: earlier labels"]["80%"]
    names = [f"in order, evidence: {kind}" for kind in ("none", "earlier labels")]
    without, with_it = (result["labels"][name]["80%"][0] for name in names)
    assert saved[0] == pytest.approx(without - with_it, abs=1e-3) and saved[0] > 0
    text = report_text({**result, "dialogues": 3, "draws": 20})
    assert text.count("| least certain first |") == 5 and "paired by draw" in text
    draw_curves(result["curves"], tmp_path / "curves.png")  # type: ignore[operator]
    assert (tmp_path / "curves.png").stat().st_size < 60_000  # type: ignore[operator]
    with pytest.raises(EmoNetError, match="7 dialogues of 6: draw from 1 to 6"):
        simulate(models(6), dialogues=7, draws=1, seed=1)
