"""Annotators' files: reading, merging, and training data that `emonet train` reads."""

from pathlib import Path

import pytest

from emonet.annotation.dialogues import AnnotatedDialogue, merge
from emonet.annotation.files import csv_text, jsonl_text, read_annotations, spell_alike, training_rows
from emonet.data.own import read_conversation_file
from emonet.errors import DataFormatError

TEXTS = ["=1+2", "'- no", "a\nb", "", "grüß 🎉"]
TURNS = [{"speaker": "@Ann", "text": text} for text in TEXTS]
ANNA = b"dialogue_id,speaker,text,emotion\nd,Ann,we won,Joy\nd,Bob,no,\ne,Ann,hi,Sad\n"


def two() -> list[AnnotatedDialogue]:
    labels: dict[str, list[str | None]] = {
        "anna": ["Joy", None, "Sad", "Joy", None],
        "ben": ["Joy", None, "Mad", None, "Mad"],
    }
    return [AnnotatedDialogue("d", TURNS, labels), AnnotatedDialogue("e", TURNS[:1], {"ben": ["Sad"]})]


def test_training_reads_what_is_written(tmp_path: Path) -> None:
    expected = ["Joy", None, None, "Joy", "Mad"], ["Sad"]  # the tie has no label
    for name, write in (("a.jsonl", jsonl_text), ("a.csv", csv_text)):
        (tmp_path / name).write_text(write(training_rows(two())), "utf-8", newline="")
        read = read_conversation_file(tmp_path / name, "train")
        assert [[turn.emotion for turn in found.turns] for found in read] == [*expected]
        texts = [turn.text for turn in read[0].turns]
        assert texts == ["=1+2", "'- no", "a b" if " b" in texts[2] else "a\nb", "", "grüß 🎉"]
        again, _ = read_annotations((tmp_path / name).read_bytes(), name)
        assert [one.labels["a"] for one in again] == [*expected]


def test_one_annotator_s_labels() -> None:
    assert [row["emotion"] for row in training_rows(two(), "anna")] == ["Joy", None, "Sad", "Joy", None, None]
    with pytest.raises(DataFormatError, match="No annotator 'cat'; there are anna, ben"):
        list(training_rows(two(), "cat"))


def test_files_are_put_side_by_side() -> None:
    anna, _ = read_annotations(ANNA, "anna.csv")
    ben, _ = read_annotations(
        b"dialogue_id,speaker,text,emotion\nd,Ann,we  won,joy\nd,Bob,no,Mad\n", "b/ben.csv"
    )
    merged = merge([("anna.csv", anna), ("ben.csv", ben), ("x/anna.csv", anna)])
    assert merged[0].labels == {
        "anna": ["Joy", None],
        "ben": ["joy", "Mad"],
        "anna (x/anna.csv)": ["Joy", None],
    }
    assert list(merged[1].labels) == ["anna", "anna (x/anna.csv)"]
    assert spell_alike(merged) == ["labels that differ in case only are one: 'joy' as 'Joy'"]
    assert merged[0].labels["ben"] == ["Joy", "Mad"]


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (
            ANNA.replace(b"we won", b"we lost"),
            "b.csv",
            "b.csv: dialogue 'd', turn 1: its text is 'we lost', and",
        ),
        (ANNA.replace(b"Bob", b"Cat"), "b.csv", "turn 2: its speaker is 'Cat', and 'Bob' in a.csv"),
        (ANNA.replace(b"d,Bob,no,\n", b""), "b.csv", "dialogue 'd' has 1 turns, and 2 in a.csv"),
        (b"dialogue_id,speaker,text\nd,Ann,hi\n", "b.csv", "no column 'emotion'"),
        (b"dialogue_id,speaker,text,emotion\nd,Ann,hi,-\n", "b.csv", "no turn has a label"),
        (b"dialogue_id,speaker,text,label,score,row\nd,Ann,hi,Joy,1,0\n", "b.csv", "no column 'emotion'"),
        (b"{", "b.json", "b.json"),
        (b"Ann: hi", "b.txt", "unknown ending"),
    ],
)
def test_what_is_refused(raw: bytes, name: str, message: str) -> None:
    anna, _ = read_annotations(ANNA, "a.csv")
    with pytest.raises(DataFormatError, match=message):
        merge([("a.csv", anna), (name, read_annotations(raw, name)[0])])
