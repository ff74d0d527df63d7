"""The benchmark scores both presets on the turns whose label was not shown."""

from pathlib import Path

import numpy as np
import pytest

from emonet.benchmarks.known_labels import PLAIN, SHOWN, WITH_LABELS, _figures, _file
from emonet.data.folds import Fold

LABELS = np.array(["Joyful", "Mad", "Neutral"])


def test_turns_that_were_shown_are_not_scored(tmp_path: Path) -> None:
    for index in range(2):
        fold = Fold(index, 2)
        gold = np.array([0, 1, 2, 1, -100])
        episodes = np.array(["a", "a", "b", "b", "b"]) + str(index)
        wrong, given = (gold + 1) % 3, np.array([True, False, False, True, False])
        cell = {"gold": gold, "episodes": episodes, "labels": LABELS, "none": wrong}
        cell["none, given"] = np.zeros(5, dtype=bool)
        np.savez(_file(tmp_path, PLAIN, 1, fold), **cell)
        for name in SHOWN:
            # Right on the turns that are scored, wrong on those that were shown.
            cell[name] = np.where(given, wrong, gold)
            cell[f"{name}, given"] = given
        np.savez(_file(tmp_path, WITH_LABELS, 1, fold), **cell)
    rows = _figures(tmp_path, [1], 2, "weighted_f1")["rows"]
    assert rows["none"]["turns"] == [8] and rows["none"]["difference"] == 0
    assert rows["0.1"]["turns"] == [4] and rows["0.1"]["value"] == pytest.approx(1)
    assert rows["0.1"]["without evidence"] == 0 and rows["0.1"]["low"] == pytest.approx(1)
