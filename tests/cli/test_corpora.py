"""Train and score on the licensed corpora, in tiny files, through the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import write_dailydialog, write_iemocap

from emonet.cli.main import main
from emonet.data import IEMOCAP, DailyDialog

CORPORA = {"iemocap": write_iemocap, "iemocap-4": write_iemocap, "dailydialog": write_dailydialog}


@pytest.fixture(params=CORPORA)
def corpus(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Path]:
    """A corpus's name and its tiny files, whose counts are not checked."""
    for builder in (IEMOCAP, DailyDialog):
        monkeypatch.setattr(builder, "_verify", classmethod(lambda cls, dialogues: None))
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    return request.param, CORPORA[request.param](tmp_path / "data")


def test_train_evaluate_and_compare(
    corpus: tuple[str, Path], backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, data = corpus
    key, title = ("weighted_f1", "weighted F1")
    if name == "dailydialog":
        key, title = "micro_f1_no_neutral", "micro F1 without neutral"
    dataset = ["--dataset", name, "--data-dir", str(data)]
    run = tmp_path / "run"
    options = ["--preset", "emonet", "--epochs", "2", "--backbone", str(backbone), "--output-dir", str(run)]
    assert main(["train", *dataset, *options]) == 0
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    assert record["dataset_version"] == f"{name}-1.0.0"
    assert record["training"].get("metric_for_best_model", "weighted_f1") == key
    best = next(row for row in record["epochs"] if row["epoch"] == record["best_epoch"])
    assert best[key] == max(row[key] for row in record["epochs"])
    assert f"validation {title} {100 * best[key]:.2f}" in capsys.readouterr().out
    predictions = run / "test_predictions.jsonl"
    assert main(["evaluate", "--model", str(run), *dataset, "--predictions", str(predictions)]) == 0
    assert capsys.readouterr().out.startswith(title)
    figures = json.loads((run / "test_metrics.json").read_text())
    card = (run / "README.md").read_text()
    assert f"**{title[0].upper()}{title[1:]} {100 * figures[key]:.2f} %** on the test set" in card
    assert f"fitted to {title} on training dialogues" in card
    owners = {"iemocap": "Busso", "iemocap-4": "Busso", "dailydialog": "Yanran"}
    assert owners[name] in card and "Licence of the corpus" in card
    comparison = tmp_path / "comparison.json"
    assert main(["compare", str(run), str(run), "--json", str(comparison)]) == 0
    assert f"{title} {100 * figures[key]:.2f}" in capsys.readouterr().out
    assert json.loads(comparison.read_text())["difference"]["metric"] == key


def test_another_metric_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("joy", "joy"), ("neutral", "neutral"), ("joy", "neutral"), ("anger", "joy")]
    for side in ("a", "b"):
        lines = [
            {"dialogue_id": str(index), "turn": 0, "emotion": emotion, "predicted": predicted}
            for index, (emotion, predicted) in enumerate(rows)
        ]
        (tmp_path / f"{side}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = [str(tmp_path / f"{side}.jsonl") for side in ("a", "b")]
    assert main(["compare", *files, "--metric", "micro_f1_no_neutral", "--resamples", "10"]) == 0
    # One hit; three annotated and two predicted turns are not neutral.
    assert f"micro F1 without neutral {100 * 2 / 5:.2f}" in capsys.readouterr().out
