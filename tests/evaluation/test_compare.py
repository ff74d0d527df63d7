"""`emonet compare` pairs runs by seed and lists the changed turns."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from emonet.cli.compare import add_commands
from emonet.errors import EmoNetError
from emonet.evaluation.compare import compare_runs, comparison_text
from emonet.evaluation.predictions import read_predictions, write_without_text
from emonet.evaluation.report import write_predictions
from emonet.evaluation.scored_runs import find_runs

GOLD = [
    ["Sad", "Mad", "Neutral"],
    ["Neutral", None, "Sad"],
    ["Mad", "Neutral"],
    ["Sad", "Sad", "Mad", "Neutral"],
]
RIGHT = [[emotion or "Sad" for emotion in dialogue] for dialogue in GOLD]
SCORES = {"Mad": 0.2, "Neutral": 0.3, "Sad": 0.5}


def rows(predicted: list[list[str]], gold: list[list[Any]] = GOLD, text: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "dialogue_id": f"d{index}",
            "turn": turn,
            "speaker": "AB"[turn % 2],
            **({"text": f"line {turn}"} if text else {}),
            "emotion": emotion,
            "predicted": guess,
            "scores": SCORES,
        }
        for index, (emotions, predictions) in enumerate(zip(gold, predicted, strict=True))
        for turn, (emotion, guess) in enumerate(zip(emotions, predictions, strict=True))
    ]


def wrong_at(*turns: tuple[int, int]) -> list[list[str]]:
    """Correct predictions, except for the given (dialogue, turn)."""
    predictions = [list(dialogue) for dialogue in RIGHT]
    for dialogue, turn in turns:
        predictions[dialogue][turn] = "Mad" if predictions[dialogue][turn] == "Sad" else "Sad"
    return predictions


def run_folder(folder: Path, predicted: list[list[str]], seed: int = 1, version: str = "toy-1.0.0") -> Path:
    """A run folder with the files that `compare` reads."""
    write_predictions(folder / "test_predictions.jsonl", rows(predicted))
    (folder / "run.json").write_text(json.dumps({"seed": seed}))
    (folder / "test_metrics.json").write_text(json.dumps({"dataset_version": version}))
    return folder


def compare(*words: str) -> None:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    arguments = parser.parse_args(["compare", *words])
    arguments.run(arguments)


def test_two_files_give_a_difference_and_the_changed_turns(tmp_path: Path, capsys: Any) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_predictions(a, rows(wrong_at((0, 0), (0, 1), (3, 0))))
    write_predictions(b, reversed(rows(wrong_at((3, 0), (3, 3)))))  # another order of rows
    compare(
        str(a),
        str(b),
        "--changes",
        str(tmp_path / "changes.jsonl"),
        "--json",
        str(tmp_path / "new" / "figures.json"),
    )
    printed = capsys.readouterr().out
    assert "turns  2 fixed, 1 broken" in printed and "4 dialogues, 11 turns" in printed
    assert (
        "d0 0  Sad: Mad → Sad  | A: line 0" in printed
        and "d3 3  Neutral: Neutral → Sad  | B: line 3" in printed
    )
    changes = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    expected = [("fixed", "d0", 0), ("fixed", "d0", 1), ("broken", "d3", 3)]
    assert [(row["kind"], row["dialogue_id"], row["turn"]) for row in changes] == expected
    figures = json.loads((tmp_path / "new" / "figures.json").read_text())
    assert figures["difference"]["difference"] == pytest.approx(
        figures["second"]["value"] - figures["first"]["value"]
    )
    assert figures["difference"]["p_permutation"] > 0.1


def test_the_list_of_turns_has_a_limit(tmp_path: Path, capsys: Any) -> None:
    a = run_folder(tmp_path / "a", wrong_at((0, 0), (0, 1), (0, 2)))
    compare(str(a), str(run_folder(tmp_path / "b", RIGHT)), "--limit", "2")
    assert (
        "fixed: 2 of 3" in (printed := capsys.readouterr().out)
        and "d0 1" in printed
        and "d0 2" not in printed
    )


def test_identical_runs_do_not_differ(tmp_path: Path, capsys: Any) -> None:
    folder = run_folder(tmp_path / "a", wrong_at((0, 0)))
    compare(str(folder), str(folder))
    printed = capsys.readouterr().out
    assert (
        "+0.00 [+0.00, +0.00]" in printed and "p = 1.000 (permutation)" in printed and "fixed:" not in printed
    )


def test_runs_are_paired_by_seed(tmp_path: Path) -> None:
    for seed in (1, 2, 10):
        run_folder(tmp_path / "a" / f"seed-{seed}", wrong_at((0, 0)), seed)
        write_predictions(tmp_path / f"b-seed-{seed}.jsonl", rows(wrong_at(*([(3, 0)] if seed == 2 else []))))
    names = [str(tmp_path / f"b-seed-{seed}.jsonl") for seed in (10, 1, 2)]
    for first in (str(tmp_path / "a"), str(tmp_path / "a" / "seed-*")):
        for second in (",".join(names), str(tmp_path / "b-seed-*.jsonl")):
            result = compare_runs(find_runs(first), find_runs(second), resamples=50)
            assert result.seeds == [(1, 1), (2, 2), (10, 10)] and result.difference.seeds == 3
            assert result.fixed == 1 and result.broken == pytest.approx(1 / 3)
            changes = [(change.kind, change.dialogue_id, change.runs) for change in result.changes]
            assert changes == [("fixed", "d0", 3), ("broken", "d3", 1)]
    text = comparison_text(result, ("a", "b"))
    assert "seeds 1, 2, 10" in text and "(3 of 3)" in text and "toy-1.0.0" in text


def test_validation_predictions_are_read_on_request(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, RIGHT)
    write_predictions(folder / "predictions.jsonl", rows(wrong_at((0, 0))))
    assert find_runs(str(folder), "validation")[0].rows != find_runs(str(folder))[0].rows


def test_predictions_without_text(tmp_path: Path) -> None:
    """As studies keep them: gzipped, byte for byte the same for the same rows."""
    write_without_text(tmp_path / "test_predictions.jsonl.gz", rows(RIGHT))
    written = (tmp_path / "test_predictions.jsonl.gz").read_bytes()
    write_without_text(tmp_path / "test_predictions.jsonl.gz", rows(RIGHT, text=False))
    assert (tmp_path / "test_predictions.jsonl.gz").read_bytes() == written
    assert find_runs(str(tmp_path))[0].rows == rows(RIGHT, text=False)


def test_missing_texts_come_from_the_corpus(tmp_path: Path, capsys: Any) -> None:
    from emonet.data import load_conversations

    corpus = load_conversations("sample", view="utterances", history_scope="none")["test"]
    for name, guess in (("a", "Sad"), ("b", "Neutral")):
        lines = [
            {"dialogue_id": r["dialogue_id"], "turn": r["turn"], "emotion": "Neutral", "predicted": guess}
            for r in corpus
        ]
        write_without_text(tmp_path / f"{name}.jsonl.gz", lines)
    compare(str(tmp_path / "a.jsonl.gz"), str(tmp_path / "b.jsonl.gz"), "--dataset", "sample", "--limit", "1")
    assert corpus[0]["text"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (rows(RIGHT[:3], GOLD[:3]), "the first alone has the dialogues d3"),
        (rows([*RIGHT, ["Sad"]], [*GOLD, ["Sad"]]), "the second alone has the dialogues d4"),
        (rows([*RIGHT[:3], ["Sad"]], [*GOLD[:3], ["Sad"]]), "the first alone has the turns d3:1, d3:2, d3:3"),
        (
            rows(RIGHT, [["Mad", "Mad", "Neutral"], *GOLD[1:]]),
            "the annotations of 1 of 12 turns .dialogue d0, turn 0: Sad in",
        ),
        (
            [{**row, "scores": {"Sad": 1.0}} for row in rows(RIGHT)],
            "the labels are Mad, Neutral, Sad in the first and Sad in",
        ),
    ],
)
def test_different_test_sets_are_refused(tmp_path: Path, other: list[Any], message: str) -> None:
    write_predictions(tmp_path / "a.jsonl", rows(RIGHT))
    write_predictions(tmp_path / "b.jsonl", other)
    with pytest.raises(
        EmoNetError, match=rf"a.jsonl and .*b.jsonl are results on different test sets .*: {message}"
    ):
        compare_runs(find_runs(str(tmp_path / "a.jsonl")), find_runs(str(tmp_path / "b.jsonl")))


def test_different_corpus_versions_are_refused(tmp_path: Path) -> None:
    a, b = (run_folder(tmp_path / version, RIGHT, version=version) for version in ("toy-1.0.0", "toy-2.0.0"))
    with pytest.raises(
        EmoNetError, match=r"the dataset is toy-1\.0\.0 in the first and toy-2\.0\.0 in the second"
    ):
        compare_runs(find_runs(str(a)), find_runs(str(b)))


def test_unpaired_seeds_are_refused(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        run_folder(tmp_path / "a" / f"seed-{seed}", RIGHT, seed)
    one = run_folder(tmp_path / "b", RIGHT, seed=2)
    with pytest.raises(EmoNetError, match="B lacks seed 1, 3: train them"):
        compare_runs(find_runs(str(tmp_path / "a")), find_runs(str(one)))
    with pytest.raises(EmoNetError, match="seed 2 is there twice"):
        find_runs(f"{tmp_path / 'a'},{one}")
    for name in "xy":
        write_predictions(tmp_path / "c" / f"{name}.jsonl", rows(RIGHT))
    with pytest.raises(EmoNetError, match="seed is unknown"):
        compare_runs(find_runs(str(tmp_path / "c" / "*.jsonl")), find_runs(str(tmp_path / "c" / "*.jsonl")))


def test_missing_runs_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for argument, message in (
        (str(tmp_path / "no"), "no such file or folder"),
        ("emorynlp-small", "a built-in model has no predictions yet"),
        (str(tmp_path / "no*"), "nothing matches"),
        (
            str(tmp_path / "empty"),
            "neither it nor a folder in it holds test_predictions.jsonl; `emonet evaluate",
        ),
    ):
        with pytest.raises(EmoNetError, match=message):
            find_runs(argument)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{oops", "line 1: not JSON"),
        (b'{"dialogue_id": "d", "turn": 0, "emotion": "Sad"}', "line 1: no predicted"),
        (
            b'{"dialogue_id": "d", "turn": "0", "emotion": "Sad", "predicted": "Sad"}',
            "turn is '0', not a whole number",
        ),
        (
            2 * b'{"dialogue_id": "d", "turn": 0, "emotion": "Sad", "predicted": "Sad"}\n',
            "line 2: dialogue 'd', turn 0 is there twice",
        ),
        (
            b'{"dialogue_id": "d", "turn": 0, "emotion": null, "predicted": "Sad"}',
            "no turn with an annotated emotion",
        ),
        (b"\xff\xfe", "not a file of JSON lines"),
    ],
)
def test_invalid_prediction_files_are_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    for name, content in (("a.jsonl", raw), ("a.jsonl.gz", b"no gzip")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            EmoNetError, match=f"{name}.*{message if content == raw else 'not a file of JSON lines'}"
        ):
            read_predictions(tmp_path / name)
