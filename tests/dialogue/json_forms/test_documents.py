"""JSON of our own and of unknown programs; broken JSON, and texts that are none."""

import json
from typing import Any

import pytest

from emonet.dialogue.json_forms.documents import read
from emonet.dialogue.reader import read_text
from emonet.errors import DataFormatError


def pairs(document: Any, name: str = "x.json") -> list[tuple[str, str]]:
    text = document if isinstance(document, str) else json.dumps(document)
    return [
        (turn["speaker"], turn["text"])
        for found in read_text(text, name).conversations
        for turn in found.turns
    ]


TWO = [("Anna", "We won!"), ("Ben", "Great.")]
ROWS = [{"speaker": name, "text": text} for name, text in TWO]


@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"turns": ROWS},
        [{"dialogue_id": "1", "turns": ROWS}],
        [[ROWS[0]], [ROWS[1]]],
        [{**row, "dialogue_id": "1", "turn": 2 - index} for index, row in enumerate(ROWS[::-1])],
        "\n\n".join(map(json.dumps, ROWS)),
        "\ufeff" + json.dumps(ROWS),
        {"speaker": ["Anna", "Ben"], "text": ["We won!", "Great."]},
        {"speaker": {"0": "Anna", "1": "Ben"}, "text": {"0": "We won!", "1": "Great."}},
        {"Speaker": {"0": "Anna", "1": "Ben"}, "Utterance": {"0": "We won!", "1": "Great."}},
        {"columns": ["speaker", "text"], "index": [0, 1], "data": [list(pair) for pair in TWO]},
        # As Slack writes messages, but with ids of dialogues: they are turns.
        [{"dialogue_id": 1, "user": name, "text": text, "ts": "1"} for name, text in TWO],
        {"data": {"sentences": [{"speaker_name": name, "text": text, "index": 0} for name, text in TWO]}},
        {"transcript": [{"participant": {"name": name}, "sentence": text} for name, text in TWO]},
        [{"Author": name, "Message": text} for name, text in TWO],
    ],
)
def test_two_turns(document: Any) -> None:
    assert pairs(document) == TWO


@pytest.mark.parametrize(
    "text",
    [
        "[00:01:02] Anna: We won!\n[00:01:05] Ben: Great.\n",
        "[2023-05-12 14:45] Anna: We won!",
        "[Anna] We won!",
        "[12/05/23, 2:45:00 PM] Anna: We won!",
        "{laughs} Anna: We won!",
        "[[door slams]]\nAnna: We won!",
        "['tis] Anna: We won!",
        "{\\an8}Anna: We won!",
        "Anna: [1, 2]",
    ],
)
def test_a_script_may_begin_with_a_bracket(text: str) -> None:
    assert read(text, "call.txt") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n {"speaker": "Ann", "text": "hi"},\n {"speaker" "Ben"}\n]', "line 3, column 13: not JSON"),
        ('{"segments": [{"text": "hi"', "line 1, column 28: not JSON"),
        ("[{'speaker': 'Ann', 'text': 'hi'}]", "line 1, column 3: not JSON .*double quotes"),
        ('{"speaker": "Ann", "text": "hi"}\n{"speaker": "Ann"', "line 2: not JSON"),
        ('["Ann: hi"', "line 1, column 11: not JSON"),
        ('[{"speaker": "Ann", "text": "hi"}]\n[{"speaker": "Ann", "text": "hi"}]', "line 1"),
    ],
)
def test_broken_json_names_its_place(text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_text(text, "x.json")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"title": "T", "lines": [1, 2]}, "its fields are title, lines; give a list of turns"),
        ([{"a": 1}, {"a": 2}], "turn 1: no list of turns .* its fields are a;"),
        ({f"field {index}": 0 for index in range(30)}, "field 11 and 18 more"),
        (
            {"title": "T", "a": [{"author": "A", "text": "x"}], "b": [{"author": "A", "text": "x"}]},
            "both a and b",
        ),
        (["Ann: hi"], "turn 1: a turn must be an object, got str"),
        ([{"speaker": "Ann", "text": "hi"}, {"speaker": "Ann"}], "turn 2: no 'text'; its fields are speaker"),
        ([1, {"speaker": "Ann", "text": "hi"}], "turn 1: a turn must be an object, got int"),
        ([], "empty"),
        ({}, "fields are none"),
    ],
)
def test_other_documents_are_refused_with_their_fields(document: Any, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        pairs(document)


def test_dialogues_by_their_ids_and_in_records() -> None:
    by_id = {"d1": [{"author": "Anna", "text": "We won!"}], "d2": [{"author": "Ben", "text": "Great."}]}
    records = [{"id": key, "split": "test", "dialog": turns} for key, turns in by_id.items()]
    for document in (by_id, records, "\n".join(map(json.dumps, records))):
        text = document if isinstance(document, str) else json.dumps(document)
        reading = read_text(text, "x.json")
        assert [found.dialogue_id for found in reading.conversations] == ["d1", "d2"]
        assert pairs(document) == TWO


def test_what_was_guessed_is_told() -> None:
    document = {"data": {"items": [{"from": "Anna", "body": "We won!"}, {"from": "Ben", "body": None}]}}
    reading = read_text(json.dumps(document), "x.json")
    assert reading.notes == [
        "data.items: speakers from 'from', texts from 'body'",
        "1 item without text left out",
    ]
