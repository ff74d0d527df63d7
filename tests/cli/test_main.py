"""The command: train, evaluate and predict on files, and errors in one line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from turn_files import dialogues_of

from emonet.cli.main import main
from emonet.data import load_conversations
from emonet.errors import DataFormatError
from emonet.evaluation.analysis import score_matrix
from emonet.evaluation.calibration import calibration, fit_temperature
from emonet.evaluation.predictions import label_ids
from emonet.fine_tuning.encoding import EncodedSplit
from emonet.processing_emonet import EmoNetProcessor


@pytest.fixture(scope="module")
def run(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `emonet-fast` on the sample corpus with the tiny backbone."""
    folder = tmp_path_factory.mktemp("cli")
    patch = pytest.MonkeyPatch()
    patch.setenv("EMONET_CACHE", str(folder / "cache"))
    command = "train --dataset sample --preset emonet-fast --epochs 2 --speaker-memory corpus"
    options = ["--backbone", str(backbone), "--output-dir", str(folder / "run")]
    assert main([*command.split(), *options]) == 0
    patch.undo()
    return folder / "run"


def test_a_run_folder_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "speakers.json",
        "run.json",
        "metrics.json",
        "predictions.jsonl",
        "confusion_matrix.png",
        "learning_curves.png",
    }
    record = json.loads((run / "run.json").read_text())
    assert (
        record["seed"] == 1 and len(record["epochs"]) == 2 and record["dataset_version"].startswith("sample-")
    )
    assert len((run / "predictions.jsonl").read_text().splitlines()) == 65
    assert json.loads((run / "metrics.json").read_text())["split"] == "validation"
    for path in run.glob("*.json"):
        assert str(run.parent) not in path.read_text(), f"{path.name} holds a path of this machine"


def test_the_scores_are_calibrated_on_validation(run: Path) -> None:
    temperature = json.loads((run / "config.json").read_text())["calibration_temperature"]
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    labels = list(rows[0]["scores"])
    scores, gold = score_matrix(rows, labels), label_ids(rows, labels)[0]
    assert temperature != 1 and fit_temperature(scores, gold) == pytest.approx(1, abs=0.01)
    assert json.loads((run / "metrics.json").read_text())["ece"] == pytest.approx(
        calibration(scores, gold).ece
    )


def test_evaluate_writes_the_fixed_figures(run: Path, tmp_path: Path, capsys: Any) -> None:
    figures = tmp_path / "out" / "test.json"
    evaluate = ["evaluate", "--model", str(run), "--dataset", "sample"]
    outputs = ["--json", str(figures), "--predictions", str(tmp_path / "rows.jsonl")]
    assert main([*evaluate, "--split", "test", *outputs]) == 0
    metrics = json.loads(figures.read_text())
    assert {"weighted_f1", "macro_f1", "accuracy", "per_class", "n", "dataset_version"} <= set(
        metrics
    ) and metrics["n"] == 66
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 66
    assert "weighted F1" in capsys.readouterr().out
    saved = json.loads((run / "run.json").read_text())["epochs"]
    again = tmp_path / "validation.json"
    assert main([*evaluate, "--split", "validation", "--json", str(again)]) == 0
    best = max(row["weighted_f1"] for row in saved)
    assert json.loads(again.read_text())["weighted_f1"] == pytest.approx(best, abs=1e-4), (
        "not the best epoch, or other features"
    )


def test_evaluating_in_bfloat16_leaves_the_runs_figures_alone(run: Path, tmp_path: Path) -> None:
    kept, figures = (run / "test_metrics.json").read_bytes(), tmp_path / "bf16.json"
    assert json.loads(kept)["dtype"] == json.loads((run / "run.json").read_text())["dtype"] == "float32"
    options = ["--json", str(figures), "--dtype", "bfloat16"]
    assert main(["evaluate", "--model", str(run), "--dataset", "sample", *options]) == 0
    assert json.loads(figures.read_text())["dtype"] == "bfloat16"
    assert json.loads(figures.read_text())["accuracy"] == pytest.approx(json.loads(kept)["accuracy"], abs=0.1)
    assert (run / "test_metrics.json").read_bytes() == kept


def test_predict_tells_who_is_a_person(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "call.txt").write_text("SPEAKER_00: We won!\nSPEAKER_01: Great.\n")
    command = ["predict", "--model", str(run), str(tmp_path / "call.txt"), "--speakers"]
    assert main(command[:-1]) == 0
    assert "SPEAKER_00 and SPEAKER_01 are taken for roles of this conv" in capsys.readouterr().err
    assert main([*command, "speaker_01"]) == 0
    told = capsys.readouterr().err
    assert "SPEAKER_00 is taken for a role" in told and "SPEAKER_01 is taken for a person" in told
    assert main([*command, "Ann"]) == 2
    assert "no speaker 'Ann'; the speakers are SPEAKER_00, SPEAKER_01." in capsys.readouterr().err


def test_predict_from_stdin_labels_every_turn(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = "Maya Okafor: What was that?\nTheo: None\nMaya Okafor:\n\nNew Person: 😀😀\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["predict", "--model", str(run)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["dialogue_id"], row["turn"], row["speaker"], row["text"]) for row in rows] == [
        ("0", 0, "Maya Okafor", "What was that?"),
        ("0", 1, "Theo", "None"),
        ("0", 2, "Maya Okafor", ""),
        ("1", 0, "New Person", "😀😀"),
    ]
    assert all(row["label"] in row["scores"] and abs(sum(row["scores"].values()) - 1) < 1e-5 for row in rows)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (
            "a.jsonl",
            '{"dialogue_id": "x", "speaker": "Ann", "text": "NA"}\n'
            '{"dialogue_id": "x", "speaker": "Bob", "text": "b"}\n',
        ),
        (
            "a.jsonl",
            '{"dialogue_id": "x", "turns": [{"role": "Ann", "content": "NA"}, '
            '{"speaker": "Bob", "text": "b"}]}',
        ),
        ("a.csv", "dialogue_id,speaker,text\nx,Ann,NA\nx,Bob,b\n"),
    ],
)
def test_all_input_forms_read_the_same(name: str, raw: str) -> None:
    turns = [{"speaker": "Ann", "text": "NA"}, {"speaker": "Bob", "text": "b"}]
    assert dialogues_of(raw.encode(), name) == [("x", turns)]
    chat = json.dumps([{"role": "Ann", "content": "NA"}, {"role": "Bob", "content": "b"}])
    assert dialogues_of(chat.encode(), "chat.json") == [("0", turns)]
    assert dialogues_of(b"Ann: NA\r\nBob: b", "stdin") == [("0", turns)]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("stdin", b"", "an empty dialogue"),
        ("x.txt", b"no speaker here\nAnn: hi\n", "x.txt, line 1: 'no speaker here' stands before the first"),
        ("x.jsonl", b'{"speaker": "Ann", "text": "a"}\n{oops', "x.jsonl, line 2: not JSON"),
        ("x.jsonl", b'{"speaker": "Ann"}', "its fields are speaker; give"),
        ("x.jsonl", b'{"text": "a"}', "its fields are text; give"),
        ("x.csv", b"speaker,text\nAnn,a,b\n", "line 2: not as many cells"),
        ("x.txt", b"Ann: \x81", "UTF-8"),
        ("x.json", b'{"dialogue_id": "a", "turns": []}', "an empty dialogue"),
    ],
)
def test_wrong_scripts_are_named(name: str, raw: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        dialogues_of(raw, name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "sample", "--preset", "emonett", "--output-dir", "x"], "presets are context"),
        (["train", "--dataset", "nowhere", "--preset", "context", "--output-dir", "x"], "neither a corpus"),
        (["predict", "--model", "RUN", "nofile.txt"], "no such file"),
        (["evaluate", "--model", "RUN", "--dataset", "sample", "--split", "tests"], "no split 'tests'"),
        (["backbone", "install", "bert"], "name an embedded backbone"),
    ],
)
def test_errors_are_one_line(
    run: Path, backbone: Path, tmp_path: Path, arguments: list[str], message: str, capsys: Any
) -> None:
    arguments = [str(run) if word == "RUN" else word for word in arguments]
    if arguments[0] == "train":
        arguments += ["--backbone", str(backbone)]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("emonet: ") and error.count("\n") == 1


def test_presets_and_env_print(capsys: Any) -> None:
    assert main(["presets"]) == 0 and main(["env"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("emonet-fast", "compm", "transformers", "causal"))
    assert "float32 (--dtype auto)" in out


def test_evaluating_another_corpus_goes_by_names(run: Path, tmp_path: Path, capsys: Any) -> None:
    """Own files with their own order of speakers, a few of the labels, and a stranger."""
    rows = [("Stranger", "Sad"), ("Maya Okafor", "Scared"), ("Maya Okafor", "Joyful")]
    lines = [
        {"dialogue_id": "a", "speaker": name, "text": "oh", "emotion": emotion} for name, emotion in rows
    ]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, lines)))
    figures = tmp_path / "figures.json"
    arguments = ["evaluate", "--model", str(run), "--dataset", str(tmp_path), "--json", str(figures)]
    assert main(arguments) == 0
    metrics = json.loads(figures.read_text())
    assert (
        metrics["n"] == 3
        and len(metrics["per_class"]) == 7
        and metrics["trained_on"] != metrics["dataset_version"]
    )
    processor = EmoNetProcessor.from_pretrained(run)
    split = EncodedSplit(load_conversations(tmp_path, cache_dir=tmp_path / "cache")["test"], processor)
    maya = processor.speakers["Maya Okafor"]
    assert split.examples[0]["speaker_ids"] == [0, maya, maya]
