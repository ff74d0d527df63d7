"""Every engine gives the scores of a person's whole history, however the rows are cut."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import build
from tiny_prompted import prompted
from turn_files import predicted, write_jsonl, write_parquet

from emonet.cli.main import main
from emonet.engines.bulk import ChunkWork, predict_files
from emonet.engines.bulk_input import Chunk
from emonet.engines.load import load_engine
from emonet.engines.prediction_input import open_input
from emonet.engines.prediction_stream import predicted_rows
from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptSettings

# Persons in several spellings, a known one among them, and who is another one each time.
NAMES = ["Ann", "ANN", "A\u200bnn", "Zoë", "zoë", "SPEAKER_00", "user", "The Waiter", "B", "#ALL#"]
TURN = st.fixed_dictionaries(
    {
        "speaker": st.sampled_from(NAMES),
        "text": st.sampled_from(["hello there", "great we won", "leave me alone", "no", ""]),
    }
)
DIALOGUES = st.lists(st.lists(TURN, min_size=1, max_size=5), min_size=2, max_size=6)
SPEAKERS = st.sampled_from(["auto", "persons", "roles", ["SPEAKER_00"]])


@pytest.fixture(scope="module", params=["name", pytest.param("local", marks=pytest.mark.slow)])
def model(request: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that remembers two utterances of earlier dialogues."""
    folder: Path = tmp_path_factory.mktemp("agreement")
    changes = {"speaker_memory": "corpus", "memory_window": 2, "speaker_identity": request.param}
    changes |= {"identity_position": "marker"}
    built, built.processor = build(tokenizer, "emonet-thesis", **changes)
    built.save_pretrained(folder / "model")
    return folder / "model"


def rows_of(dialogues: Sequence[Sequence[dict[str, str]]]) -> list[dict[str, Any]]:
    """Rows whose turn numbers go down: the talk is the other way round."""
    return [
        {"dialogue_id": f"d{index}", "turn": -turn, **cells}
        for index, turns in enumerate(dialogues)
        for turn, cells in enumerate(turns)
    ]


def in_order(checkpoint: Path, source: Path, engine: str = "torch", speakers: Any = "auto") -> list[Any]:
    """What `emonet predict` writes without a bulk engine."""
    from emonet.dialogue.names import speaker_kinds

    loaded, processor = load_engine(checkpoint, engine)
    with open_input(str(source), True) as rows:
        kinds = speaker_kinds(rows.speakers, speakers, processor.speakers)
        return [row for block in predicted_rows(loaded, processor, rows, speakers=kinds) for row in block]


def in_turn(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """Work on the last chunk first, as another worker may."""
    for chunk in reversed(chunks):
        work(chunk)


class Stopped(Exception):
    pass


def after_two(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    for chunk in chunks[1:3]:
        work(chunk)
    raise Stopped


def check(found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> None:
    assert [row["row"] for row in found] == [row["row"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row["scores"] == pytest.approx(other["scores"], abs=1e-4)
        assert (row["speaker"], row["label"]) == (other["speaker"], other["label"])


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


CASES = given(
    dialogues=DIALOGUES, speakers=SPEAKERS, part=st.integers(1, 6), random=st.randoms(use_true_random=False)
)


@settings(max_examples=3)
@CASES
def test_bulk_equals_one_process(model: Path, **case: Any) -> None:
    check_case(model, **case)


@pytest.mark.slow
@settings(max_examples=60)
@CASES
def test_bulk_equals_one_process_in_many_cases(model: Path, **case: Any) -> None:
    check_case(model, **case)


def check_case(
    model: Path, dialogues: list[list[dict[str, str]]], speakers: Any, part: int, random: Any
) -> None:
    rows, folder = rows_of(dialogues), model.parent
    source = write_jsonl(folder / "in.jsonl", rows)
    expected = in_order(model, source, speakers=speakers)
    options: dict[str, Any] = {"turns_a_part": part, "speakers": speakers}
    out = fresh(folder / "out")
    predict_files(model, source, out, runner=in_turn, **options)
    check(predicted(out), expected)
    out = fresh(folder / "out")
    with pytest.raises(Stopped):
        predict_files(model, source, out, runner=after_two, **options)
    predict_files(model, source, out, runner=in_turn, **options)
    check(predicted(out), expected)

    several = fresh(folder / "several")  # the same dialogues in two files
    several.mkdir()
    first = sum(map(len, dialogues[:1]))
    write_parquet(several / "a.parquet", rows[:first])
    write_jsonl(several / "b.jsonl", rows[first:])
    out = fresh(folder / "out")
    predict_files(model, several, out, runner=in_turn, **options)
    check(predicted(out), expected)

    random.shuffle(rows)
    mixed = write_jsonl(folder / "mixed.jsonl", rows)
    out = fresh(folder / "out")
    predict_files(model, mixed, out, runner=in_turn, interleaved=True, **options)
    check(predicted(out), in_order(model, mixed, speakers=speakers))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    texts = ["hello there", "great we won", "no"]
    turns = [[{"speaker": name, "text": texts[index % 3]} for name in NAMES] for index in range(5)]
    return write_jsonl(tmp_path / "in.jsonl", rows_of(turns))


def test_onnx_has_the_same_memory(model: Path, source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    assert main(["export", "--model", str(model), "--output", str(tmp_path / "onnx")]) == 0
    expected = in_order(model, source)
    check(in_order(tmp_path / "onnx", source, "onnx"), expected)
    predict_files(tmp_path / "onnx", source, tmp_path / "out", runner=in_turn, turns_a_part=9)
    check(predicted(tmp_path / "out"), expected)


def test_the_command_takes_speakers_and_tells(
    model: Path,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["predict", "--model", str(model), str(source), "--engine", "datasets", "--turns-a-part", "9"]
    assert main([*words, "--output", str(tmp_path / "a"), "--speakers", "SPEAKER_00"]) == 0
    assert caplog.text.count("are taken for one person") == 2
    assert "SPEAKER_00 is taken for a person" in capsys.readouterr().err
    check(predicted(tmp_path / "a"), in_order(model, source, speakers=["SPEAKER_00"]))
    assert main([*words, "--output", str(tmp_path / "b"), "--speakers", "Eve"]) == 2
    assert "no speaker 'Eve'" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "a"), "--speakers", "roles"]) == 2
    assert "other predictions (speakers differ)" in capsys.readouterr().err


def test_roles_leave_nothing_behind(model: Path, tmp_path: Path) -> None:
    """A dialogue of roles gets the same scores whatever roles said before it."""

    def scores(speakers: str, *earlier: str) -> list[list[float]]:
        rows = rows_of([[{"speaker": role, "text": text} for role in roles] for text in (*earlier, "no")])
        out = fresh(tmp_path / "out")
        source = write_jsonl(tmp_path / "in.jsonl", rows)
        predict_files(model, source, out, runner=in_turn, turns_a_part=1, speakers=speakers)
        return [list(row["scores"].values()) for row in predicted(out)[-len(roles) :]]

    def leaks(speakers: str) -> bool:
        alone, after = scores(speakers), scores(speakers, "hello there", "leave me alone")
        return any(row != pytest.approx(other, abs=1e-5) for row, other in zip(alone, after, strict=True))

    roles = ["SPEAKER_00", "user", "assistant", "A", "1", "The Waiter", "说话人1", "SPEAKER_00"]
    assert not leaks("auto") and leaks("persons")
    roles = ["Ann", "Zoë"]
    assert not leaks("roles") and leaks("auto")


def test_a_model_that_reads_its_own_predictions_is_refused(
    decoder: Path, source: Path, tmp_path: Path
) -> None:
    made = prompted(decoder, PromptSettings(window=2, trajectory=2))
    made.save_pretrained(tmp_path / "model")
    with pytest.raises(EmoNetError, match=r"Leave out --engine .* or add --speakers roles"):
        predict_files(tmp_path / "model", source, tmp_path / "out", turns_a_part=9)
    out = tmp_path / "roles"
    predict_files(tmp_path / "model", source, out, runner=in_turn, turns_a_part=9, speakers="roles")
    check(predicted(out), in_order(tmp_path / "model", source, speakers="roles"))
