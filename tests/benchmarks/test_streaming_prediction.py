"""The benchmark of `emonet predict` labels as many turns as it says."""

import csv
from pathlib import Path

import pytest
from tiny_serving import save_tiny_model

from emonet.benchmarks.streaming_prediction import measure, write_table


@pytest.mark.slow
def test_every_turn_of_the_table_is_labelled(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    write_table("sample", None, 700, source)  # more than the corpus has
    with source.open(encoding="utf-8", newline="") as file:
        keys = [(row["dialogue_id"], row["turn"]) for row in csv.DictReader(file)]
    assert len(keys) == len(set(keys)) == 700
    figures = measure(str(save_tiny_model(tmp_path / "model")), source, ["--batch-size", "8"])
    assert figures["turns"] == 700 and figures["peak_mib"] > 0
    assert 0 < figures["seconds_to_first_row"] <= figures["seconds"]
    with pytest.raises(SystemExit, match="ended with status 2"):
        measure(str(tmp_path), source, [])
