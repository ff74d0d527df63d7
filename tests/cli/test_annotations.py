"""`emonet annotations`, `emonet agreement`, and `emonet predict` for Label Studio."""

import csv
import json
from pathlib import Path

import pytest
from tiny_serving import save_tiny_model

from emonet.cli.main import main

ANNA = "dialogue_id,turn,speaker,text,emotion\nd,0,Ann,we won,Joy\nd,1,Bob,=no,Joy\nd,2,Ann,hi,Sad\n"
BEN = ANNA.replace("=no,Joy", "=no,Mad").replace("hi,Sad", "hi,")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "anna.csv").write_text(ANNA)
    (tmp_path / "ben.csv").write_text(BEN)
    return [str(tmp_path / "anna.csv"), str(tmp_path / "ben.csv")]


def test_agreement(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, figures = tmp_path / "both.csv", tmp_path / "figures.json"
    assert main(["agreement", *files, "--side-by-side", str(table), "--json", str(figures)]) == 0
    output = capsys.readouterr().out
    assert "3 turns: 2 labelled by all annotators, 1 by some only" in output
    assert "anna and ben: agree on 1 of 2 (50.0%), Cohen's kappa 0.000 (only anna: 1, only ben: 0)" in output
    assert "d, turn 1: Bob: =no  [anna: Joy, ben: Mad]" in output and "ben: Joy 1, Mad 1" in output
    rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    assert [(row["anna"], row["ben"]) for row in rows] == [("Joy", "Joy"), ("Joy", "Mad"), ("Sad", "")]
    assert rows[1]["text"] == "'=no", "a spreadsheet runs no formula"
    assert json.loads(figures.read_text())["disagreements"] == [1]


def test_conversion(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks, rows = tmp_path / "x.label-studio.json", tmp_path / "train.jsonl"
    assert main(["annotations", *files, "--output", str(tasks)]) == 0
    assert '<Label value="Mad"' in (tmp_path / "x.label-studio.xml").read_text()
    assert main(["annotations", str(tasks), "--output", str(rows)]) == 0
    assert "3 turns, 2 with a label; 1 without a label because annotators are tied" in capsys.readouterr().out
    assert [json.loads(line)["emotion"] for line in rows.read_text().splitlines()] == ["Joy", None, "Sad"]
    assert main(["annotations", *files, "--annotator", "ben", "--output", str(rows)]) == 0
    assert [json.loads(line)["emotion"] for line in rows.read_text().splitlines()] == ["Joy", "Mad", None]


def test_predictions_for_label_studio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "scene,utterance,order,who,joke\nb,two,2,Bob,1\nb,one,1,Ann,0\na,hi,1,Cat,1\n"
    (tmp_path / "in.csv").write_text(table)
    model, output = save_tiny_model(tmp_path / "model"), tmp_path / "out.label-studio.json"
    command = ["predict", "--model", str(model), str(tmp_path / "in.csv"), "--output"]
    assert main([*command, str(output)]) == 0
    tasks = json.loads(output.read_text())
    assert [task["data"]["dialogue_id"] for task in tasks] == ["b", "a"]
    assert tasks[0]["data"]["dialogue"] == [
        {"author": "Ann", "text": "one"},
        {"author": "Bob", "text": "two"},
    ]
    assert main([*command, str(tmp_path / "rows.jsonl")]) == 0
    by_text = {row["utterance"]: row for row in map(json.loads, (tmp_path / "rows.jsonl").open())}
    for task in tasks:
        [prediction] = task["predictions"]
        for region, turn in zip(prediction["result"], task["data"]["dialogue"], strict=True):
            row = by_text[turn["text"]]
            assert region["value"]["paragraphlabels"] == [row["label"]]
            assert region["score"] == pytest.approx(row["score"], abs=1e-5)
    assert (tmp_path / "out.label-studio.xml").exists() and not (
        tmp_path / "out.label-studio.json.part"
    ).exists()
    assert main(["annotations", str(output), "--output", str(tmp_path / "t.csv")]) == 2
    assert "no turn has a label" in capsys.readouterr().err, "predictions are no annotations"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["agreement", "{anna}"], "one annotator, anna; give two files"),
        (["agreement", "{anna}", "{anna}x"], "no such file"),
        (
            ["annotations", "{anna}", "--output", "x.json"],
            "name the output *.jsonl, *.csv or *.label-studio.json",
        ),
        (["annotations", "{anna}", "--output", "{anna}"], "is an input: it would be replaced"),
        (
            ["annotations", "{anna}", "--output", "x.csv", "--annotator", "eve"],
            "No annotator 'eve'; there are anna",
        ),
        (
            ["annotations", "{anna}", "--output", "x.label-studio.json", "--annotator", "anna"],
            "holds all annotators",
        ),
    ],
)
def test_what_is_refused(
    options: list[str], message: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option.format(anna=files[0]) for option in options]) == 2
    assert message in capsys.readouterr().err
