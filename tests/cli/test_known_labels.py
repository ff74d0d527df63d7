"""`emonet predict` and `emonet evaluate` with labels that are known of some turns."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import DIALOGUE, LABELS, taking_labels
from turn_files import predicted

from emonet.cli.main import main
from emonet.inference.predict import predict_dialogues

KNOWN = {0: "Mad", 2: '{"Sad": 0.5, "Mad": 0.5}'}
TURNS = [
    {"speaker": turn["speaker"], "text": turn["text"], "known_emotion": KNOWN.get(index, "")}
    for index, turn in enumerate(DIALOGUE)
]


@pytest.fixture(scope="module")
def parts(tokenizer: Any) -> Any:
    return taking_labels(tokenizer)


@pytest.fixture(scope="module")
def checkpoint(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    model, model.processor = parts
    folder = tmp_path_factory.mktemp("labels")
    model.save_pretrained(folder)
    return str(folder)


def table(path: Path, column: str = "known_emotion", turns: Any = TURNS) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dialogue_id", "speaker", "text", "emotion", column])
        for row, turn in zip(turns, DIALOGUE, strict=True):
            writer.writerow(["a", row["speaker"], row["text"], turn["emotion"], row["known_emotion"]])
    return str(path)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_say_which_labels_were_given(parts: Any, checkpoint: str, tmp_path: Path) -> None:
    source, expected = table(tmp_path / "in.csv"), predict_dialogues(*parts, [TURNS])[0]
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        assert main(["predict", "--model", checkpoint, source, "--output", str(tmp_path / name)]) == 0
    assert (
        main(
            [
                "predict",
                "--model",
                checkpoint,
                source,
                "--engine",
                "datasets",
                "--output",
                str(tmp_path / "bulk"),
            ]
        )
        == 0
    )
    outputs = [
        rows_of(tmp_path / "out.jsonl"),
        list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8-sig"))),
        pq.read_table(tmp_path / "out.parquet").to_pylist(),
        predicted(tmp_path / "bulk"),
    ]
    for rows in outputs:
        assert [row["source"] for row in rows] == [result["source"] for result in expected]
        assert [row["label"] for row in rows] == [result["label"] for result in expected]
        assert [float(row["score"]) for row in rows] == pytest.approx([row["score"] for row in expected])


def test_another_column_may_be_known(parts: Any, checkpoint: str, tmp_path: Path) -> None:
    source, out = table(tmp_path / "in.csv", "mine"), tmp_path / "out.jsonl"
    command = ["predict", "--model", checkpoint, source, "--output", str(out)]
    assert main(command) == 0
    assert not any("source" in row for row in rows_of(out)), "gold and other labels are never read"
    assert main([*command, "--known-column", "mine"]) == 0
    causal = rows_of(out)
    assert [row["label"] for row in causal] == [row["label"] for row in predict_dialogues(*parts, [TURNS])[0]]
    assert main([*command, "--known-column", "mine", "--use-later-labels"]) == 0
    assert rows_of(out)[1]["score"] != pytest.approx(causal[1]["score"])


def test_lines_of_json_may_leave_the_column_out(checkpoint: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    turns = [{"dialogue_id": "a", **turn} for turn in TURNS]
    turns[1]["mine"] = {"Mad": 1.0}
    path.write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    command = ["predict", "--model", checkpoint, str(path), "--output", str(out), "--known-column"]
    assert main([*command, "mine"]) == 0
    assert [row["source"] for row in rows_of(out)].count("given") == 1
    assert main([*command, "theirs"]) == 2


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        ("Angry", [], "in.csv, line 4: known_emotion 'Angry' is not a label of this model, which has Joyful"),
        ('{"Mad": 0.4}', [], "in.csv, line 4: known_emotion .* is not a distribution"),
        ("", ["--known-column", "mine"], "no column 'mine' for the known_emotion"),
        ("", ["--known-column", "mine", "--engine", "ray"], "--known-column is not for ray"),
    ],
)
def test_wrong_labels_stop_before_the_first_row(
    checkpoint: str, tmp_path: Path, capsys: Any, label: str, options: list[str], message: str
) -> None:
    turns = [*TURNS[:2], {**TURNS[2], "known_emotion": label}, *TURNS[3:]]
    source, out = table(tmp_path / "in.csv", turns=turns), tmp_path / "out"
    words = ["predict", "--model", checkpoint, source, "--output", f"{out}.jsonl", *options]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    if not options:
        assert (
            main(["predict", "--model", checkpoint, source, "--engine", "datasets", "--output", str(out)])
            == 2
        )
        assert "in.csv, row 3: known_emotion" in capsys.readouterr().err
    assert not Path(f"{out}.jsonl").exists()


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    for split, count in (("train", 1), ("validation", 1), ("test", 40)):
        lines = ["dialogue_id,speaker,text,emotion"]
        for dialogue in range(count):
            lines += [f"{split}{dialogue},{turn['speaker']},no,{turn['emotion']}" for turn in DIALOGUE]
            lines += [f"{split}{dialogue},Ann,no,{label}" for label in LABELS]
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path)


def test_evaluation_scores_the_turns_that_are_not_known(
    checkpoint: str, corpus: str, tmp_path: Path, capsys: Any
) -> None:
    figures, rows = {}, {}
    for known in ("0.25", "earlier", "none"):
        words = ["evaluate", "--model", checkpoint, "--dataset", corpus, "--json", str(tmp_path / known)]
        words += [] if known == "none" else ["--known-labels", known]
        assert main([*words, "--predictions", str(tmp_path / f"{known}.jsonl")]) == 0
        figures[known] = json.loads((tmp_path / known).read_text())
        rows[known] = rows_of(tmp_path / f"{known}.jsonl")
    out = capsys.readouterr().out
    assert "+known.0.25.seed.0: the gold labels of" in out and "+known.earlier: the gold" in out
    turns = 40 * 13
    assert figures["none"]["n"] == figures["earlier"]["n"] == turns
    assert figures["0.25"]["n"] + figures["0.25"]["given_turns"] == turns
    assert 0.15 < figures["0.25"]["given_turns"] / turns < 0.35
    assert "known" not in figures["none"]["dataset_version"]
    given = [row for row in rows["0.25"] if row["source"] == "given"]
    assert len(given) == figures["0.25"]["given_turns"]
    assert all(row["emotion"] == row["predicted"] for row in given)
    assert {row["source"] for row in rows["earlier"]} == {"predicted"}
    assert figures["none"]["weighted_f1"] != figures["earlier"]["weighted_f1"]


@pytest.mark.parametrize(
    ("share", "message"),
    [("0", "not a share of the turns"), ("1", "not a share of the turns"), ("x", "usage")],
)
def test_a_wrong_share_is_refused(
    checkpoint: str, corpus: str, capsys: Any, share: str, message: str
) -> None:
    words = ["evaluate", "--model", checkpoint, "--dataset", corpus, "--known-labels", share]
    try:
        code: Any = main(words)
    except SystemExit as error:
        code = error.code
    assert code == 2 and message in capsys.readouterr().err
