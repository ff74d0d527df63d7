"""`emonet predict`: rows as they come, files that are whole, and what it refuses."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import build
from tiny_serving import save_tiny_model
from turn_files import predicted

from emonet.cli import predict
from emonet.cli.main import main
from emonet.cli.progress import Progress
from emonet.engines import prediction_stream

HEADER = "dialogue_id,turn,speaker,text\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (HEADER + "a,1,Ann,x\nb,1,Ann,x\na,2,Ann,x\n", [], "line 4: dialogue 'a' begins again after another"),
        (HEADER + "a,1,Ann,x\na,1,Ann,x\n", [], "line 3, turn: 1 was given before (on line 2)"),
        (HEADER + "a,1,Ann,x\na,,Ann,x\n", [], "line 3, turn: is empty"),
        (HEADER + "a,one,Ann,x\n", [], "line 2, turn: 'one' is not a number"),
        (HEADER + ",1,Ann,x\n", [], "line 2, dialogue_id: '' is not an id"),
        (HEADER, [], "no turns"),
        ("speaker,text,label\nAnn,x,Sad\n", [], "a column 'label', which the predictions are written to"),
        ("speaker,text,row\nAnn,x,1\n", [], "--prefix predicted_ to write predicted_row"),
        ("speaker,text,p_row\nAnn,x,1\n", ["--prefix", "p_"], "a column 'p_row'"),
        ("speaker,text\nAnn,x\n", ["--output", "out.yaml"], "the ending '.yaml' stands for no format"),
        ("speaker,text\nAnn,x\n", ["--output", "in.csv"], "in.csv is the input"),
        ("speaker,text,score_Sad\nAnn,x,1\n", ["--output", "out.csv"], "a column 'score_Sad'"),
    ],
)
def test_refusals_come_before_any_prediction(
    content: str,
    options: list[str],
    message: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def fails(*_: Any) -> None:
        raise AssertionError("predicted")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prediction_stream, "predict_stream", fails)
    write(Path("in.csv"), content)
    assert main(["predict", "--model", str(checkpoint), "in.csv", *options]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_predictions_are_predicted_again_beside_the_first(
    checkpoint: Path, tmp_path: Path, capsys: Any
) -> None:
    source = write(tmp_path / "in.csv", "speaker,text\nAnn,=x\nBob,no\n")
    once, twice = tmp_path / "once.csv", tmp_path / "twice.jsonl"
    command = ["predict", "--model", str(checkpoint)]
    assert main([*command, source, "--output", str(once)]) == 0
    assert main([*command, str(once), "--output", str(twice), "--prefix", "again_"]) == 0
    rows = rows_of(twice.read_text())
    assert [row["text"] for row in rows] == ["=x", "no"]
    assert [(row["again_label"], row["again_row"]) for row in rows] == [
        (row["label"], int(row["row"])) for row in rows
    ]


def test_a_table_on_stdin_and_without_ids(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    raw = b'{"speaker": "Ann", "text": "hi", "n": 7}\n{"speaker": "Bob", "text": "\\ud83d", "n": 8}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert main(["predict", "--model", str(checkpoint)]) == 0
    rows = rows_of(capsys.readouterr().out)
    keys = [(row["row"], row["dialogue_id"], row["turn"], row["n"], row["text"]) for row in rows]
    assert keys == [(0, "0", 0, 7, "hi"), (1, "0", 1, 8, "\ud83d")]


def test_turn_numbers_give_the_order_of_the_talk(checkpoint: Path, tmp_path: Path, capsys: Any) -> None:
    turns = [("1", "Ann", "great we won"), ("2", "Bob", "no"), ("10", "Ann", "leave me alone")]
    lines = [f"a,{','.join(turn)}\n" for turn in turns]
    found = []
    for order in (lines, [lines[2], lines[0], lines[1]]):
        source = write(tmp_path / "in.csv", HEADER + "".join(order))
        assert main(["predict", "--model", str(checkpoint), source]) == 0
        found.append(rows_of(capsys.readouterr().out))
    assert [row["turn"] for row in found[1]] == ["10", "1", "2"]
    by_turn = [{row["turn"]: row["score"] for row in rows} for rows in found]
    assert by_turn[0] == pytest.approx(by_turn[1], abs=1e-6)


def test_rows_come_while_later_ones_are_computed(checkpoint: Path, tmp_path: Path) -> None:
    """The reader gets the first rows while the source still waits for the last ones."""
    dialogues = "".join(f"d{index},0,Ann,no\n" for index in range(6000))
    source = write(tmp_path / "in.csv", HEADER + dialogues)
    process = start(checkpoint, source, stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["row"] == 0 and process.poll() is None
    rest = process.stdout.read().splitlines()
    assert process.wait() == 0 and len(rest) == 5999


@pytest.mark.parametrize("ending", ["jsonl", pytest.param("csv", marks=pytest.mark.slow)])
def test_ctrl_c_leaves_no_file_that_looks_whole(ending: str, checkpoint: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", HEADER + "".join(f"d{index},0,Ann,no\n" for index in range(200_000)))
    output = tmp_path / f"out.{ending}"
    part = output.with_name(f"{output.name}.part")
    process = start(checkpoint, source, "--output", str(output), stderr=subprocess.PIPE)
    assert process.stderr is not None
    deadline = time.monotonic() + 240
    while not (part.exists() and part.stat().st_size > 1000) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.stderr.read().decode()
    assert process.wait() == predict.INTERRUPTED and "Traceback" not in error
    assert f"of 200,000 rows are in {part}" in error and not output.exists() and part.exists()


def start(checkpoint: Path, *words: str, **streams: Any) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "emonet.cli.main", "predict", "--model", str(checkpoint), *words]
    # A shell's background jobs ignore SIGINT, and so would their children.
    options = {"stderr": subprocess.DEVNULL, "preexec_fn": _take_interrupts, **streams}
    return subprocess.Popen(command, env=environment, **options)


def _take_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_error_keeps_what_was_written_apart(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fails_later(*arguments: Any, **options: Any) -> Any:
        yield [{"row": 0, "label": "Sad", "score": 1.0, "scores": {}}]
        raise OSError("the disk went away")

    monkeypatch.setattr(prediction_stream, "predicted_rows", fails_later)
    output = tmp_path / "out.jsonl"
    output.write_text("earlier predictions")
    source = write(tmp_path / "in.csv", "speaker,text\nAnn,x\nBob,y\n")
    assert main(["predict", "--model", str(checkpoint), source, "--output", str(output)]) == 2
    assert f"1 of 2 rows are in {output}.part" in capsys.readouterr().err
    assert output.read_text() == "earlier predictions"
    assert len((tmp_path / "out.jsonl.part").read_text().splitlines()) == 1


def test_progress_is_a_line_every_ten_seconds() -> None:
    now, stream = [0.0], io.StringIO()
    progress = Progress(30_000, stream, lambda: now[0])
    for now[0] in (4.0, 9.9, 10.0, 15.0, 20.0):
        progress.add(3100)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "9,300 of 30,000 turns, 31 %, 930 turns/s, about 22 s left",
        "15,500 of 30,000 turns, 51 %, 775 turns/s, about 19 s left",
    ]
    assert Progress(90_000, stream, lambda: 0.0).line().endswith("about an unknown time left")


def test_a_named_pipe_gets_lines(checkpoint: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_text().splitlines()))
    reader.start()
    source = write(tmp_path / "in.txt", "Ann: hi\nBob: no\n")
    assert main(["predict", "--model", str(checkpoint), source, "--output", str(pipe)]) == 0
    reader.join()
    assert [row["speaker"] for row in rows_of("\n".join(lines))] == ["Ann", "Bob"]


def test_all_bulk_inputs_are_read(tmp_path: Path, tokenizer: Any) -> None:
    from turn_files import predicted

    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "model")
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.csv", "speaker,text,note\nAnn,hi,1\nBob,no,2\n")
    write(folder / "b.txt", "Ann: hi\nBob: no\n")
    write(folder / "c.jsonl", '{"dialogue_id": "x", "turns": [{"speaker": "Ann", "text": "hi"}]}\n')
    words = ["--output", str(tmp_path / "out"), "--engine", "datasets", "--turns-a-part", "1"]
    for _ in range(2):  # the second run finds everything done
        assert main(["predict", "--model", str(tmp_path / "model"), str(folder), *words]) == 0
    rows = predicted(tmp_path / "out")
    assert [(row["row"], row["dialogue_id"], row["turn"], row["note"]) for row in rows] == [
        (0, "a.csv-0", 0, "1"),
        (1, "a.csv-0", 1, "2"),
        (2, "b.txt-0", 0, None),
        (3, "b.txt-0", 1, None),
        (4, "x", 0, None),
    ]
    assert not (tmp_path / "out" / ".input").exists()


@pytest.mark.parametrize(
    ("name", "content", "summary"),
    [
        (
            "in.jsonl",
            '\n{"dialogue_id": 1, "speaker": "Ann", "text": "hi"}\n\n  \n'
            '{"dialogue_id": 2, "speaker": null, "text": "no"}\n',
            "table: 2 turns, 2 dialogues, 2 speakers: Ann 1, #UNKNOWN# 1; "
            "1 turn without a speaker, said by #UNKNOWN#",
        ),
        ("in.csv", "speaker;text;\nAnn;hi;\n;;\nANN;no;\n", "table: 2 turns, 1 speaker: Ann 2"),
        ("in.txt", "Ann: hi\n[laughs]\nBob: no\n", "script: 2 turns, 2 speakers: Ann 1, Bob 1"),
    ],
)
def test_bulk_tells_what_it_reads_as_the_default_does(
    name: str, content: str, summary: str, checkpoint: Path, tmp_path: Path, capsys: Any
) -> None:
    write(tmp_path / name, content)
    words = ["predict", "--model", str(checkpoint), str(tmp_path / name), "--output"]
    assert main([*words, str(tmp_path / "out.jsonl")]) == 0
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith(summary)
    assert main([*words, str(tmp_path / "out"), "--engine", "datasets", "--turns-a-part", "1"]) == 0
    assert first in capsys.readouterr().err.splitlines()
    rows = predicted(tmp_path / "out")
    assert [row["text"] for row in rows] == [
        row["text"] for row in rows_of((tmp_path / "out.jsonl").read_text())
    ]


def test_bulk_names_the_file_that_was_given(checkpoint: Path, tmp_path: Path, capsys: Any) -> None:
    """Not the copy of it that is read in chunks."""
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        write(tmp_path / "in" / name, "dialogue_id,speaker,text\n7,Ann,hi\n")
    words = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--engine", "datasets"]
    assert main(["predict", "--model", str(checkpoint), *words]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "a.csv is a table: 1 turn, 1 speaker: Ann 1"
    assert error[-1].startswith("emonet: b.csv, row 1: dialogue '7' begins again")


CHAT = [("system", "be kind"), ("user", "hello"), ("assistant", "no")]
KEYED = [
    {"dialogue_id": "d", "turn": 5, "speaker": 0, "text": "hello", "note": None},
    {"dialogue_id": "d", "turn": 4, "speaker": 1, "text": "no", "note": "x"},
]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "chat.jsonl",
            "\n".join(json.dumps({"role": role, "content": text}) for role, text in CHAT),
            [{"speaker": role, "text": text} for role, text in CHAT[1:]],
        ),
        ("rows.json", json.dumps(KEYED, indent=1), KEYED),
        ("rows.json", json.dumps({key: [row[key] for row in KEYED] for key in KEYED[0]}), KEYED),
        (
            "dialogues.json",
            json.dumps([{"dialogue_id": "d", "turns": [{**KEYED[1], "dialogue_id": "x"}]}]),
            [{"dialogue_id": "d", "turn_dialogue_id": "x", "turn": 4, "speaker": 1, "text": "no"}],
        ),
    ],
)
@pytest.mark.parametrize("engine", ["torch", "datasets"])
def test_json_comes_back_with_its_own_keys(
    name: str, content: str, expected: list[Any], engine: str, checkpoint: Path, tmp_path: Path
) -> None:
    source, output = write(tmp_path / name, content), tmp_path / "out"
    output = output if engine == "datasets" else output.with_suffix(".jsonl")
    words = ["--model", str(checkpoint), "--engine", engine, "--output", str(output)]
    assert main(["predict", source, *words]) == 0
    found = predicted(output) if engine == "datasets" else rows_of(output.read_text())
    assert [
        {key: row[key] for key in wanted} for row, wanted in zip(found, expected, strict=True)
    ] == expected


def test_csv_with_a_prefix_is_read_as_it_was_written(checkpoint: Path, tmp_path: Path) -> None:
    source, first, second = write(tmp_path / "a.csv", HEADER + "d,1,Ann,=x\n"), "b.csv", "c.jsonl"
    model = ["--model", str(checkpoint), "--output"]
    assert main(["predict", source, *model, str(tmp_path / first), "--prefix", "my_"]) == 0
    assert main(["predict", str(tmp_path / first), *model, str(tmp_path / second)]) == 0
    assert rows_of((tmp_path / second).read_text())[0]["text"] == "=x"


def test_characters_that_the_model_cannot_read_are_said_once(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("dialogue_id,speaker,text\n" + "1,Ann,我们赢了\n" * 20, "utf-8")
    with pytest.warns(UserWarning, match=r"lacks \d+% of the characters") as caught:
        assert (
            main(["predict", "--model", str(checkpoint), str(source), "--output", str(tmp_path / "o.csv")])
            == 0
        )
    assert len([warning for warning in caught if "lacks" in str(warning.message)]) == 1


def test_bulk_says_it_once_for_all_parts(checkpoint: Path, tmp_path: Path, capsys: Any) -> None:
    source = tmp_path / "in.csv"
    rows = (f"{index},Ann,{'我们赢了' if index % 2 else 'we won'}\n" for index in range(8))
    write(source, "dialogue_id,speaker,text\n" + "".join(rows))
    words = [str(source), "--output", str(tmp_path / "out"), "--engine", "datasets", "--turns-a-part", "3"]
    for _ in range(2):  # the second run finds all parts
        assert main(["predict", "--model", str(checkpoint), *words]) == 0
        error = capsys.readouterr().err
        assert error.count("lacks 44% of the characters") == 1 and "which become [UNK]" in error
