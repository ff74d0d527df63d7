"""`emonet ceiling` on the folds of a study whose trainings are faked."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_trainings import FakeModels

from emonet.cli.main import main
from emonet.errors import EmoNetError
from emonet.studies import runner
from emonet.studies.ceiling import SOURCES, measure_ceiling, write_ceiling
from emonet.studies.study import read_study


@pytest.fixture
def folds(study: dict[str, Any], models: FakeModels, tmp_path: Path) -> Path:
    file = tmp_path / "study.json"
    file.write_text(
        json.dumps({**study, "seeds": [2], "scores": ["context"], "protocol": "episodes", "folds": 2})
    )
    runner.run_study(read_study(file), tmp_path / "results", progress=False)
    return tmp_path / "results"


def test_table_and_figure_say_the_same(folds: Path) -> None:
    output = folds / "ceiling"
    write_ceiling(measure_ceiling(folds / "sample" / "context", resamples=100), output)
    text, table = (output / "ceiling.md").read_text(), json.loads((output / "ceiling.json").read_text())
    assert (output / "ceiling.png").is_file()
    assert (table["n_turns"], table["n_episodes"], table["seeds"]) == (561, 11, [2])
    assert [row["labels_of"] for row in table["rows"][::2]] == list(SOURCES)
    base = table["without_labels"]["weighted_f1"]
    for row in table["rows"]:
        assert row["weighted_f1"] - base == pytest.approx(row["gain"])
        assert row["gain_interval"][0] <= row["gain"] <= row["gain_interval"][1]
        assert f"{100 * row['weighted_f1']:.2f} ({100 * row['gain']:+.2f}" in text


def test_rows_without_folds_or_probabilities_are_refused(
    folds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ceiling", str(folds / "sample" / "emonet"), "--output-dir", str(folds / "ceiling")]) == 2
    assert "keep no probabilities. Name the row under 'scores'" in capsys.readouterr().err
    with pytest.raises(EmoNetError, match="no seed of this row has all its episode folds"):
        measure_ceiling(folds / "sample" / "contxt")
