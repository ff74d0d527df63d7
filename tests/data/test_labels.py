"""Labels of the user's own files, and texts whose C1 characters are cp1252."""

import json
import shutil
from pathlib import Path

import pytest

from emonet.cli.main import main
from emonet.data import MELD, load_conversations
from emonet.dialogue.tables.labels import label_of, same_labels, spelled_as
from emonet.dialogue.turns import clean_text
from emonet.errors import DataFormatError, EmoNetError
from emonet.files.text import clean
from emonet.runs.families import check_trainable

HEAD = "dialogue_id,speaker,text,emotion\n"


def labels_of(path: Path, **options: object) -> tuple[list[str], list[str | None]]:
    corpus = load_conversations(path, cache_dir=path.parent / "cache", **options)  # type: ignore[arg-type]
    turns = [turn for row in corpus["train"] for turn in row["turns"]]
    names = corpus.labels
    return names, [None if turn["emotion"] is None else names[turn["emotion"]] for turn in turns]


def file_of(folder: Path, *labels: str, name: str = "train.csv", head: str = HEAD) -> Path:
    path = folder / name
    path.write_text(head + "".join(f"{name},Ann,hi,{label}\n" for label in labels), "utf-8")
    return path


def test_labels_that_differ_in_case_are_one(tmp_path: Path) -> None:
    path = file_of(tmp_path, "joy", "Joy", "Joy", "JOY", "sad")
    with pytest.warns(UserWarning, match=r"'joy' \(1 turns\) as 'Joy', 'JOY' \(1 turns\) as 'Joy'"):
        assert labels_of(path) == (["Joy", "sad"], ["Joy", "Joy", "Joy", "Joy", "sad"])
    assert labels_of(path, labels=["SAD", "joy"])[1] == ["joy", "joy", "joy", "joy", "SAD"]


def test_labels_are_composed(tmp_path: Path) -> None:
    assert labels_of(file_of(tmp_path, "ge\u0301ne\u0301", "g\u00e9n\u00e9")) == (
        ["g\u00e9n\u00e9"],
        ["g\u00e9n\u00e9"] * 2,
    )
    assert same_labels({"a": 2, "A": 2, "b": 1}) == {"A": "A", "a": "A", "b": "b"}
    assert spelled_as(["joy", "JOY"], "Joy") == "Joy" and spelled_as(["joy", "JOY"], "JOY") == "JOY"


def test_what_stands_for_no_label(tmp_path: Path) -> None:
    missing = ["nan", "NaN", "None", "-", "null", "N/A", "?", "", " "]
    path = file_of(tmp_path, "joy", *missing)
    with pytest.warns(UserWarning, match=r"train\.csv: no label: .*'None' in 1"):
        assert labels_of(path) == (["joy"], ["joy"] + [None] * len(missing))
    assert label_of(float("nan")) is None and label_of("neutral") == "neutral"


def test_a_label_column_is_taken_where_nothing_else_fits(tmp_path: Path) -> None:
    path = file_of(tmp_path, "joy", head="dialogue_id,speaker,text,label\n")
    with pytest.warns(UserWarning, match="column 'label' as emotion"):
        assert labels_of(path)[0] == ["joy"]


@pytest.mark.parametrize("lines", [False, True])
def test_splits_without_labels_are_refused_before_training(tmp_path: Path, lines: bool) -> None:
    head = "dialogue_id,speaker,text,mood\n"
    if lines:
        turns = [{"speaker": "Ann", "text": "hi", "mood": "joy"}]
        (tmp_path / "train.jsonl").write_text(json.dumps({"dialogue_id": 1, "turns": turns}))
    else:
        file_of(tmp_path, "joy", head=head)
    file_of(tmp_path, "joy", "nan", name="dev.csv")
    corpus = load_conversations(tmp_path, cache_dir=tmp_path / "cache")
    assert corpus.labelled_turns() == {"train": 0, "validation": 1}
    with pytest.raises(
        EmoNetError, match=r"no turn of the train split has a label; train.* speaker, text, mood"
    ):
        check_trainable(corpus, "own")


def test_interleaved_dialogues_are_refused_unless_meant(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(HEAD + "a,Ann,1,joy\nb,Bob,2,joy\na,Ann,3,joy\n")
    with pytest.raises(DataFormatError, match="line 4: dialogue 'a' begins again after dialogue 'b'"):
        load_conversations(path, cache_dir=tmp_path / "cache")
    corpus = load_conversations(path, cache_dir=tmp_path / "cache", interleaved=True)
    assert [[turn["text"] for turn in row["turns"]] for row in corpus["train"]] == [["1", "3"], ["2"]]
    with pytest.raises(DataFormatError, match="begins again"):  # also from the cache
        load_conversations(path, cache_dir=tmp_path / "cache", labels=["joy"])


def test_interleaved_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.csv"
    path.write_text(HEAD + "a,Ann,1,joy\nb,Bob,2,joy\na,Ann,3,joy\n")
    command = ["train", "--dataset", str(path), "--output-dir", str(tmp_path / "run")]
    assert main(command) == 2 and "--interleaved" in capsys.readouterr().err
    assert main([*command, "--interleaved"]) == 2 and "has no validation split" in capsys.readouterr().err


def test_c1_characters_are_cp1252_at_every_entry() -> None:
    text = "it\x92s \x93so\x94 \x80 5 \x81x\0y \ud800"
    assert clean(text) == "it\u2019s \u201cso\u201d \u20ac 5  x y \ufffd"
    assert clean_text(text) == " ".join(clean(text).split())


def meld(folder: Path, text: str) -> Path:
    columns = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,Season,Episode,StartTime\n"
    for index, name in enumerate(MELD.files.values()):
        (folder / name).write_text(f'{columns}"{text}",Ann,joy,{index},0,1,2,"00:00:01,000"\n', "utf-8")
    return folder


def test_meld_with_c1_characters_has_its_own_version(tmp_path: Path) -> None:
    options = {"verify_counts": False, "cache_dir": tmp_path / "cache"}
    with pytest.warns(UserWarning, match="meld: 3 characters U\\+0080 to U\\+009F read as cp1252"):
        first = load_conversations("meld", meld(tmp_path, "it\x92s"), **options)
    again = load_conversations("meld", tmp_path, **options)  # from the cache
    assert first.dataset_version == again.dataset_version == "meld-1.0.0+cp1252"
    assert again.utterance_texts() == ["it\u2019s"] * 3
    shutil.rmtree(tmp_path / "cache")
    assert load_conversations("meld", meld(tmp_path, "it\u2019s"), **options).dataset_version == "meld-1.0.0"
