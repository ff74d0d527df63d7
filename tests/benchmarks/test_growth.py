"""The cases of the growth benchmark have as many turns as they say, and run."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emonet.benchmarks import growth


@pytest.mark.parametrize(
    ("rows", "dialogues", "speakers"),
    [
        (growth.one_dialogue, 1, 4),
        (growth.many_dialogues, 4, 4),
        (growth.many_speakers, 4, 40),
        (growth.mixed_dialogues, 4, 4),
    ],
)
def test_rows_are_numbered_in_their_dialogues(
    rows: Callable[[int], Any], dialogues: int, speakers: int, tmp_path: Path
) -> None:
    with growth.write_rows(rows(40), tmp_path / "in.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    keys = {(row["dialogue_id"], row["turn"]) for row in found}
    assert len(found) == len(keys) == 40
    assert len({row["dialogue_id"] for row in found}) == dialogues
    assert len({row["speaker"] for row in found}) == speakers
    assert all(int(turn) < 40 // dialogues for _, turn in keys)


@pytest.mark.slow
@pytest.mark.parametrize("case", growth.CASES)
def test_a_case_runs(case: str, tmp_path: Path) -> None:
    growth.CASES[case](40, tmp_path)()
