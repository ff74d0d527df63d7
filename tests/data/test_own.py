"""Your own files: both formats, and errors with file, line and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from emonet.data import SpeakerRegistry, load_conversations
from emonet.data.own import read_conversation_file
from emonet.dialogue.names import is_role
from emonet.errors import DataFormatError

ROWS = [
    {"dialogue_id": "a", "speaker": "Ann", "text": "None", "emotion": "Joyful"},
    {"dialogue_id": "a", "speaker": "Bob", "text": "NA", "emotion": "Sad"},
    {"dialogue_id": "b", "role": "Ann", "content": "", "emotion": "Mad"},
]


def jsonl(folder: Path, rows: list[Any], name: str = "train.jsonl") -> Path:
    path = folder / name
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8"
    )
    return path


def test_jsonl_and_csv_hold_the_same(tmp_path: Path) -> None:
    jsonl(tmp_path, ROWS)
    (tmp_path / "dev.csv").write_text(
        'dialogue_id,speaker,text,emotion\nc,Ann,None,Joyful\nc,Bob,"a, b",Sad\nc,Ann,NA,Mad\n'
    )
    corpus = load_conversations(tmp_path, cache_dir=tmp_path / "cache")
    assert corpus.labels == ["Joyful", "Mad", "Sad"] and set(corpus) == {"train", "validation"}
    assert [turn["text"] for row in corpus["train"] for turn in row["turns"]] == ["None", "NA", ""]
    assert [turn["text"] for turn in corpus["validation"][0]["turns"]] == ["None", "a, b", "NA"]
    assert corpus["validation"][0]["turns"][0]["speaker_history_index"] == [0, 2]
    nested = [{"dialogue_id": "a", "turns": ROWS[:2]}, {"dialogue_id": "b", "turns": ROWS[2:]}]
    again = load_conversations(jsonl(tmp_path, nested, "nested.jsonl"), cache_dir=tmp_path / "cache")
    assert again["train"].to_list() == corpus["train"].to_list()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = jsonl(tmp_path, ROWS)
    first = load_conversations(path, cache_dir=tmp_path / "cache")
    jsonl(tmp_path, [*ROWS, {"dialogue_id": "b", "speaker": "Cat", "text": "new", "emotion": "Sad"}])
    second = load_conversations(path, cache_dir=tmp_path / "cache")
    assert (len(first.utterance_texts()), len(second.utterance_texts())) == (3, 4)
    assert first.dataset_version != second.dataset_version


def test_unlabelled_turns_and_turn_numbers(tmp_path: Path) -> None:
    rows = [{"dialogue_id": "a", "speaker": "Ann", "text": str(turn), "turn": turn} for turn in (2, 0, 1)]
    corpus = load_conversations(jsonl(tmp_path, rows), cache_dir=tmp_path / "cache")
    assert [turn["text"] for turn in corpus["train"][0]["turns"]] == ["0", "1", "2"]
    assert [turn["emotion"] for turn in corpus["train"][0]["turns"]] == [None, None, None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{nonsense"], r"train\.jsonl, line 1: not JSON"),
        (
            [ROWS[0], {"dialogue_id": "a", "speaker": "Ann"}],
            r"line 2: no 'text'; its fields are dialogue_id, speaker",
        ),
        ([{"speaker": "Ann", "text": "hi"}], r"line 1: no 'dialogue_id'"),
        ([{"dialogue_id": "a", "text": "hi"}], r"line 1: no 'speaker'"),
        (
            [{**ROWS[0], "turn": 1}, {**ROWS[1], "turn": 1}],
            r"line 2: dialogue 'a' has turn 1 twice \(first on line 1\)",
        ),
        ([{**ROWS[0], "turn": "x"}], r"line 1, turn: 'x' is not a number"),
        ([{**ROWS[0], "emotion": 3}], r"line 1, emotion: 3 is not a label name"),
        (["[1, 2]"], r"line 1: expected an object"),
        ([], r"holds no turn"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_conversation_file(jsonl(tmp_path, rows), "train")


def test_wrong_csv_and_labels_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("scenes,speaker,text\na,Ann,hi\n")
    with pytest.raises(DataFormatError, match=r"train\.csv, line 1: no column dialogue_id"):
        load_conversations(path)
    path.write_text("dialogue_id,speaker,text\na,Ann,hi, there\n")
    with pytest.raises(DataFormatError, match="line 2: not as many cells"):
        load_conversations(path)
    path.write_bytes(b"dialogue_id,speaker,text\na,Ann,\x81\n")
    with pytest.raises(DataFormatError, match="not UTF-8"):
        load_conversations(path)
    with pytest.raises(DataFormatError, match=r"train\.jsonl, dialogue 'a': unknown label 'Joyful'"):
        load_conversations(jsonl(tmp_path, ROWS), labels=["Mad", "Sad"])
    with pytest.raises(DataFormatError, match="no train, validation or test file"):
        load_conversations(tmp_path.parent / tmp_path.name / "..", cache_dir=tmp_path / "cache")


def test_control_characters_become_blanks_with_a_warning(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{**ROWS[0], "text": "a\u0000b\u0007c"}])
    with pytest.warns(UserWarning, match="control characters in 1 turns"):
        dialogues = read_conversation_file(path, "train")
    assert dialogues[0].turns[0].text == "a b c"


def test_registry_round_trip_and_roles(tmp_path: Path) -> None:
    registry = SpeakerRegistry(["Ann", "Bob", "Ann"])
    registry.save(tmp_path)
    assert SpeakerRegistry.load(tmp_path).ids() == registry.ids() == {"Ann": 1, "Bob": 2}
    assert all(map(is_role, ("#ALL#", "The Waiter", "Man", "Woman 2", "Nurse", "a guy")))
    assert not any(map(is_role, ("Manny", "Theodore", "Monica Geller", "Mr. Heckles", "Anna")))
    with pytest.raises(DataFormatError, match="no speaker registry"):
        SpeakerRegistry.load(tmp_path / "nowhere")


def test_a_dialogue_may_begin_without_a_label(tmp_path: Path) -> None:
    labels = [None, None, "Mad", "Sad", None, "Mad"]
    rows = [
        {"dialogue_id": str(index // 3), "speaker": "Ann", "text": "x", "emotion": label}
        for index, label in enumerate(labels)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for view in ("dialogues", "utterances"):
        loaded = load_conversations(tmp_path, view=view, cache_dir=tmp_path / "cache")["train"]
        found = [turn["emotion"] for row in loaded for turn in row.get("turns", [row])]
        assert found == [None, None, 0, 1, None, 0]
