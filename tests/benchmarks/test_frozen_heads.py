"""The comparison of frozen heads pairs the seeds, and goes on where it ended."""

import json
from pathlib import Path

import pytest

from emonet.benchmarks.frozen_heads import WAYS, main, paired


def test_differences_are_of_the_same_seed() -> None:
    rows = {
        "trainer": [{"seed": 1, "test": 0.3}, {"seed": 2, "test": 0.4}, {"seed": 3, "test": 0.5}],
        "heads": [{"seed": 2, "test": 0.43}, {"seed": 1, "test": 0.31}],
    }
    found = paired(rows, "heads", "test")
    assert found["seeds"] == 2 and found["difference"] == pytest.approx(0.02)
    assert found["low"] == pytest.approx(0.01) and found["high"] == pytest.approx(0.03)


@pytest.mark.slow
def test_every_seed_is_trained_each_way_once(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "figures.json"
    command = [str(file), "--dataset", "sample", "--backbone", str(decoder), "--epochs", "1", "--seeds"]
    main([*command, "1"])
    first = json.loads(file.read_text())["rows"]
    main([*command, "2"])
    content = json.loads(file.read_text())
    for way in WAYS:
        assert [row["seed"] for row in content["rows"][way]] == [1, 2]
        assert content["rows"][way][0] == first[way][0]
    assert content["heads"]["test"]["seeds"] == 2
    with pytest.raises(SystemExit, match="other settings"):
        main([*command[:-3], "--epochs", "2"])
