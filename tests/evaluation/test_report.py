"""A run's report: files exist, plots are not empty, the table holds the figures."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS

from emonet.evaluation.metrics import emotion_metrics
from emonet.evaluation.report import metrics_table, write_predictions, write_run_report

LOSS = {"epoch": 0.5, "loss": 2.0}
SCORE = {"epoch": 1.0, "eval_loss": 1.9, "eval_weighted_f1": 0.3, "eval_macro_f1": 0.2}


@pytest.fixture
def metrics() -> dict[str, Any]:
    return emotion_metrics([0, 1, 2, 3], [0, 1, 2, 2], LABELS)


def is_drawn(path: Path) -> bool:
    from matplotlib.image import imread

    picture = imread(path)
    return min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.05


def test_a_report_is_complete(tmp_path: Path, metrics: dict[str, Any]) -> None:
    write_run_report(tmp_path / "new", metrics, LABELS, [LOSS, SCORE], "validation")
    assert is_drawn(tmp_path / "new" / "confusion_matrix.png") and is_drawn(
        tmp_path / "new" / "learning_curves.png"
    )
    written = json.loads((tmp_path / "new" / "metrics.json").read_text("utf-8"))
    assert written == {"split": "validation", **metrics}


def test_without_a_history_there_are_no_curves(tmp_path: Path, metrics: dict[str, Any]) -> None:
    write_run_report(tmp_path, metrics, LABELS)
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8"))["split"] == "test"
    assert not (tmp_path / "learning_curves.png").exists()


@pytest.mark.parametrize("history", [[LOSS], [SCORE], [{"epoch": 1.0, "train_runtime": 3.0}]])
def test_a_partial_history_draws_without_warnings(
    tmp_path: Path, metrics: dict[str, Any], history: list[Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_run_report(tmp_path, metrics, LABELS, history)
    assert is_drawn(tmp_path / "learning_curves.png")


def test_the_table_holds_the_figures(metrics: dict[str, Any]) -> None:
    lines = metrics_table(metrics).splitlines()
    assert "75.00" in next(line for line in lines if line.startswith("accuracy"))
    for name in LABELS:
        row = next(line for line in lines if line.startswith(name))
        assert f"{100 * metrics['per_class'][name]['f1']:.2f}" in row
        assert row.split()[-1] == str(metrics["per_class"][name]["support"])


def test_predictions_are_unescaped_json_lines(tmp_path: Path) -> None:
    row = {
        "dialogue_id": "d1",
        "turn": 0,
        "speaker": "Zoë",
        "text": "Où?",
        "emotion": None,
        "predicted": "Sad",
        "scores": [0.5],
    }
    write_predictions(tmp_path / "new" / "predictions.jsonl", [row, row])
    text = (tmp_path / "new" / "predictions.jsonl").read_text("utf-8")
    assert [json.loads(line) for line in text.splitlines()] == [row, row] and "Zoë" in text
