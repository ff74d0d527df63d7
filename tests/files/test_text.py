"""The user's own files: what is read, what is refused and with which message."""

import json
import warnings
from pathlib import Path

import pytest

from emonet.data import conversation_from_chat, load_conversations, read_conversation_file
from emonet.errors import DataFormatError

HEAD = "dialogue_id,speaker,text,emotion\n"
TURNS = "dialogue_id,turn,speaker,text\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(path: Path) -> list[list[str]]:
    return [[turn.text for turn in dialogue.turns] for dialogue in read_conversation_file(path, "train")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv, line 1: no column dialogue_id"),
        (
            "a.csv",
            "dialogue_id,text\nd,x\n",
            r"line 1: no column speaker or role; the columns are dialogue_id, text",
        ),
        ("a.csv", "dialogue_id,speaker,text,text\nd,A,x,y\n", r"line 1: column text appears twice"),
        ("a.csv", HEAD + "d,A,hello, there,joy\n", r"line 2: not as many cells .5. .*column 5"),
        (
            "a.csv",
            HEAD + 'd,A,"two\nlines",joy\nd,B\n',
            r"a\.csv, line 4: not as many cells .2. .*column text",
        ),
        ("a.csv", HEAD + 'd,A,"never closed,joy\nd,B,x,joy\n', r"a\.csv, line 2: not a CSV row"),
        ("a.csv", HEAD + " ,A,x,joy\n", r"a\.csv, line 2, dialogue_id"),
        ("a.csv", HEAD.encode() + b"d,A,x,joy\nd,A,caf\x8d,joy\n", r"a\.csv, line 3, byte 8: not UTF-8"),
        ("a.csv", HEAD, r"a\.csv: the file holds no turn"),
        ("a.csv", TURNS + "d,1,A,x\nd,1,B,y\n", r"line 3: dialogue 'd' has turn 1 twice .*line 2"),
        ("a.csv", TURNS + "d,1,A,x\nd,,B,y\n", r"line 3, turn: '' is not a number"),
        (
            "a.jsonl",
            '{"dialogue_id": 1, "speaker": "A", "text": "x"}\n{oops}\n',
            r"line 2: not JSON .*at column 2",
        ),
        (
            "a.jsonl",
            b'{"dialogue_id": 1, "speaker": "A", "text": "\xff"}\n',
            r"a\.jsonl, line 1, byte 45: not UTF-8",
        ),
        ("a.jsonl", "[1, 2]\n", r"a\.jsonl, line 1: expected an object, got list"),
        ("a.jsonl", '{"speaker": "A", "text": "x"}\n', r"line 1: no 'dialogue_id'"),
        ("a.jsonl", '{"dialogue_id": null, "speaker": "A", "text": "x"}\n', r"line 1, dialogue_id: None"),
        ("a.jsonl", '{"dialogue_id": 1, "speaker": "A"}\n', r"no 'text'; its fields are dialogue_id, s"),
        ("a.jsonl", '{"dialogue_id": 1, "speaker": "A", "text": null}\n', r"line 1, text: expected a string"),
        ("a.jsonl", '{"dialogue_id": 1, "speaker": [], "text": "x"}\n', r"line 1, speaker"),
        ("a.jsonl", '{"dialogue_id": 1, "speaker": "A", "text": "x", "emotion": 3}\n', r"line 1, emotion: 3"),
        ("a.jsonl", '{"dialogue_id": 1, "turns": "x"}\n', r"line 1, turns: expected a list"),
        ("a.xml", "x", r"a\.xml: unknown ending '\.xml'; known are \.csv"),
        ("a.xlsx", "x", r"a\.xlsx: cannot read the Excel workbook"),
    ],
)
def test_wrong_files_are_refused_with_their_location(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        read_conversation_file(write(tmp_path, name, content), "train")
    assert str(tmp_path) not in str(caught.value)


def test_null_like_cells_are_text(tmp_path: Path) -> None:
    words = ["None", "NA", "null", "nan", "N/A", "", "  ", "0", "TRUE"]
    path = write(tmp_path, "train.csv", HEAD + "".join(f"d,A,{word},\n" for word in words))
    assert texts(path) == [words]
    rows = load_conversations(path, cache_dir=tmp_path / "cache")["train"]
    assert [turn["text"] for turn in rows[0]["turns"]] == words
    assert {turn["emotion"] for turn in rows[0]["turns"]} == {None}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_dialects(tmp_path: Path, separator: str) -> None:
    rows = [
        ["content", "role", "dialogue_id"],
        ['"a, b; c\t""d""\nnext"', "A", "d"],
        ["x" * 200_000, "A", "d"],
    ]
    content = "\ufeff" + "".join(separator.join(row) + "\r\n" for row in rows) + "\r\n"
    assert texts(write(tmp_path, "a.csv", content)) == [['a, b; c\t"d"\nnext', "x" * 200_000]]


def test_control_characters_become_blanks_with_one_warning(tmp_path: Path) -> None:
    broken = ["a\0b", "\x07", "tab\tand\nline stay", "\ud800 half"]
    lines = "".join(
        json.dumps({"dialogue_id": 1, "speaker": "Ann\0", "text": text}) + "\n" for text in broken
    )
    with pytest.warns(UserWarning, match=r"train\.jsonl: control characters in 3 turns") as caught:
        corpus = load_conversations(write(tmp_path, "train.jsonl", lines), cache_dir=tmp_path / "cache")
    assert len(caught) == 1
    assert corpus.utterance_texts() == ["a b", " ", "tab\tand\nline stay", "\ufffd half"]
    assert list(corpus.speakers) == ["Ann"]
    with pytest.warns(UserWarning, match="1 turns"):
        assert texts(write(tmp_path, "a.csv", HEAD + "d,A,a\0b,\n")) == [["a b"]]


def test_rows_dialogues_and_turn_numbers(tmp_path: Path) -> None:
    lines = [
        {"dialogue_id": "x", "turn": 7, "speaker": "B", "text": "second\u2028"},
        {
            "dialogue_id": 5,
            "turns": [{"role": "A", "content": "hi", "emotion": "joy"}, {"speaker": ["A", "B"], "text": ""}],
        },
        {"dialogue_id": "x", "turn": 3, "speaker": "A", "text": "first"},
    ]
    path = write(tmp_path, "a.jsonl", "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    with pytest.raises(DataFormatError, match=r"a\.jsonl, line 5: dialogue 'x' begins again after"):
        read_conversation_file(path, "train")
    dialogues = read_conversation_file(path, "train", interleaved=True)
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["x", "5"]
    assert [turn.text for turn in dialogues[0].turns] == ["first", "second\u2028"]
    assert [turn.text for turn in dialogues[1].turns] == ["hi", ""]
    assert [turn.emotion for turn in dialogues[1].turns] == ["joy", None]
    assert dialogues[1].turns[1].speakers == ("A", "B")


def test_a_chat_list() -> None:
    dialogue = conversation_from_chat(
        [{"role": "user", "content": "hi"}, {"speaker": "Bot", "text": "", "emotion": "joy"}]
    )
    assert [(turn.speakers, turn.text, turn.emotion) for turn in dialogue.turns] == [
        (("user",), "hi", None),
        (("Bot",), "", "joy"),
    ]
    with pytest.raises(DataFormatError, match="chat, turn 2: no 'text'"):
        conversation_from_chat([{"role": "user", "content": "hi"}, {"role": "user"}])


def folder_of(tmp_path: Path) -> Path:
    for split in ("train", "dev", "test"):
        write(tmp_path, f"{split}.csv", HEAD + f"{split}1,Ann,hello {split},joy\n{split}1,Bob,well,anger\n")
    return tmp_path


def test_a_folder_is_ordered_train_validation_test(tmp_path: Path) -> None:
    corpus = load_conversations(folder_of(tmp_path), cache_dir=tmp_path / "cache")
    assert list(corpus) == ["train", "validation", "test"]
    assert corpus.labels == ["anger", "joy"]
    assert corpus.utterance_texts() == ["hello train", "well", "hello dev", "well", "hello test", "well"]
    assert corpus["test"][0]["turns"][0]["speaker_history_index"] == [0]
    assert corpus.dataset_version.startswith(f"{tmp_path.name}-")


def test_given_labels_are_kept_in_order_and_enforced(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for labels in (
        ["joy", "anger", "fear"],
        ["anger", "fear", "joy"],
    ):  # the same files: the cache must tell them apart
        corpus = load_conversations(folder, labels=labels, cache_dir=tmp_path / "cache")
        feature = corpus["train"].features["turns"].feature["emotion"]
        assert corpus.labels == labels == feature.names
        assert feature.int2str(corpus["train"][0]["turns"][0]["emotion"]) == "joy"
    with pytest.raises(
        DataFormatError, match=r"train\.csv, dialogue 'train1': unknown label 'anger' in turn 2, emotion"
    ):
        load_conversations(folder, labels=["joy"], cache_dir=tmp_path / "cache")


def test_ambiguous_folders_are_refused(tmp_path: Path) -> None:
    write(folder_of(tmp_path), "validation.jsonl", "{}")
    with pytest.raises(DataFormatError, match=r"both dev\.csv and validation\.jsonl"):
        load_conversations(tmp_path)
    (tmp_path / "validation.jsonl").unlink()
    write(tmp_path, "test.csv", HEAD + "train1,Ann,leak,joy\n")
    with pytest.raises(
        DataFormatError, match=r"test\.csv: dialogue_id 'train1' is used already in train\.csv"
    ):
        load_conversations(tmp_path, cache_dir=tmp_path / "cache")


def test_clean_files_warn_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load_conversations(folder_of(tmp_path), cache_dir=tmp_path / "cache")
