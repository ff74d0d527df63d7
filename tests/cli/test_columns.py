"""Train and score on columns with other names, and on a folder of Parquet, by command."""

import json
from pathlib import Path

import pytest

from emonet.cli.main import main
from emonet.data import load_conversations
from emonet.hub.push_dataset import write_dataset

ROWS = [
    ("a", "Ann", "we won", "joy", "1"),
    ("a", "Bob", "great", "joy", "2"),
    ("b", "Ann", "no", "anger", "3"),
    ("c", "Bob", "leave me alone", "anger", "4"),
]
COLUMNS = "dialogue_id=scene_name,text=line,emotion=mood"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    (tmp_path / "own").mkdir()
    for split in ("train", "dev", "test"):
        rows = [",".join((f"{split}-{row[0]}", *row[1:])) for row in ROWS]
        text = "\n".join(["scene_name,speaker,line,mood,note", *rows, ""])
        (tmp_path / "own" / f"{split}.csv").write_text(text, "utf-8")
    return tmp_path / "own"


def test_train_and_evaluate(folder: Path, backbone: Path, tmp_path: Path) -> None:
    data = ["--dataset", str(folder), "--columns", COLUMNS]
    run, predictions = tmp_path / "run", tmp_path / "predictions.jsonl"
    options = ["--preset", "emonet-fast", "--epochs", "1", "--backbone", str(backbone)]
    assert main(["train", *data, *options, "--output-dir", str(run)]) == 0
    assert main(["evaluate", "--model", str(run), *data, "--predictions", str(predictions)]) == 0
    rows = [json.loads(line) for line in predictions.read_text("utf-8").splitlines()]
    names = ("scene_name", "speaker", "line", "mood", "note")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (f"test-{row[0]}", *row[1:]) for row in ROWS
    ]
    assert all(row["predicted"] in ("joy", "anger") for row in rows)


def test_a_folder_that_push_dataset_wrote(folder: Path, backbone: Path, tmp_path: Path) -> None:
    source = tmp_path / "pushed"
    columns = dict(pair.split("=") for pair in COLUMNS.split(","))
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in folder.iterdir():
        header, rows = file.read_text("utf-8").split("\n", 1)
        for field, column in columns.items():
            header = header.replace(column, field)
        (plain / file.name).write_text(f"{header}\n{rows}", "utf-8")
    write_dataset(plain, source, "user/name")
    run = tmp_path / "run"
    options = ["--preset", "emonet-fast", "--epochs", "1", "--backbone", str(backbone)]
    assert main(["train", "--dataset", str(source), *options, "--output-dir", str(run)]) == 0
    record = json.loads((run / "run.json").read_text())
    assert record["labelled_turns"] == {"train": 4, "validation": 4}
    assert record["dataset_version"] == load_conversations(source).dataset_version


@pytest.mark.parametrize("given", ["line", "words=line", "text=lines"])
def test_wrong_columns_are_named(folder: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--dataset", str(folder), "--columns", given, "--output-dir", str(folder / "run")]
    try:
        assert main(command) != 0
    except SystemExit as error:
        assert error.code
    message = capsys.readouterr().err
    assert given.partition("=")[2] in message and (
        "the fields are" in message or "its columns are" in message
    )
