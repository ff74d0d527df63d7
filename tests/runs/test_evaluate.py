"""A split is scored on its labelled turns, and says how many have no label."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS, build

from emonet.cli.main import main


@pytest.fixture(scope="module")
def model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("evaluated")
    built, built.processor = build(tokenizer, "emonet-thesis")
    built.save_pretrained(folder)
    return folder


def corpus(folder: Path, *emotions: str) -> Path:
    """Write splits of which the test split has turns with these labels."""
    for split, labels in (("train", LABELS), ("validation", LABELS), ("test", emotions)):
        rows = [f"{split},{turn},Ann,no,{label}\n" for turn, label in enumerate(labels)]
        (folder / f"{split}.csv").write_text("".join(["Dialogue,Turn,Speaker,Text,Emotion\n", *rows]))
    return folder


def test_unlabelled_turns_are_told_and_come_back(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", str(model), "--dataset", str(corpus(tmp_path, "Sad", "", "nan", "Mad"))]
    outputs = ["--predictions", str(tmp_path / "rows.jsonl"), "--json", str(tmp_path / "figures.json")]
    assert main([*words, *outputs]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["turns", "without", "a", "label", "2", "not", "scored"] in table
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["n"], figures["unlabelled_turns"]) == (2, 2)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["row"], row["Turn"], row["Speaker"], row["Emotion"]) for row in rows] == [
        (index, str(index), "Ann", emotion) for index, emotion in enumerate(("Sad", "", "nan", "Mad"))
    ]
    assert [row["emotion"] for row in rows] == ["Sad", None, None, "Mad"]


def test_a_split_without_labels_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = corpus(tmp_path, "", "-", "None")
    assert main(["evaluate", "--model", str(model), "--dataset", str(source)]) == 2
    told = capsys.readouterr().err
    assert "no turn of the test split has a label; test.csv has the fields Dialogue, Turn" in told
