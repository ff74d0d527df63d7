"""Tasks of Label Studio: the round trip, what its editor exports, and what is refused."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from emonet.annotation.dialogues import AnnotatedDialogue
from emonet.annotation.files import read_annotations
from emonet.annotation.label_studio import dialogues_of, labelling_config, tasks_of
from emonet.dialogue.reader import read_bytes
from emonet.errors import DataFormatError

TEXTS = ["We won 🎉!", "=Great <b> & \u202eso", "", "Leave me alone."]
TURNS = [{"speaker": f"Änn {index % 2}", "text": text} for index, text in enumerate(TEXTS)]
PREDICTIONS = [{"label": label, "score": 0.4} for label in ("Joy", "Joy", "Neutral", "Mad")]


def dialogue(key: str = "call-1", **labels: list[str | None]) -> AnnotatedDialogue:
    return AnnotatedDialogue(key, [dict(turn) for turn in TURNS], labels, [dict(one) for one in PREDICTIONS])


def region(
    start: Any, label: Any, end: Any = None, kind: str = "paragraphlabels", **more: Any
) -> dict[str, Any]:
    """A region as the editor of Label Studio 1.x exports it."""
    value = {
        "start": start,
        "end": start if end is None else end,
        "startOffset": 0,
        "endOffset": 4,
        "text": "…",
        kind: [label] if isinstance(label, str) else label,
    }
    return {"id": "a", "from_name": "emotion", "to_name": "dialogue", "type": kind, "value": value, **more}


def exported(*annotations: dict[str, Any], **data: Any) -> list[dict[str, Any]]:
    items = [{"author": turn["speaker"], "text": turn["text"]} for turn in TURNS]
    return [
        {"id": 7, "data": {"dialogue": items, **data}, "annotations": list(annotations), "predictions": [3]}
    ]


def read(document: Any) -> tuple[list[AnnotatedDialogue], list[str]]:
    return read_annotations(json.dumps(document).encode(), "export.json")


def test_round_trip() -> None:
    """Labels, order, Unicode, turns without labels, several annotators, predictions."""
    before = [
        dialogue("b", **{"anna": ["Joy", None, None, "Mad"], "ben@x.org": ["Joy", "Joy", "Neutral", None]}),
        dialogue("a"),
    ]
    after, notes = read(list(tasks_of(before)))
    assert after == before and not notes


def test_a_task_is_what_the_documentation_shows() -> None:
    [task] = tasks_of([dialogue(anna=["Joy", None, None, None])], "ours")
    assert task["data"]["dialogue"][0] == {"author": "Änn 0", "text": "We won 🎉!"}
    [[found]] = [annotation["result"] for annotation in task["annotations"]]
    assert found["value"]["start"] == found["value"]["end"] == "0"
    assert found["value"]["endOffset"] == 10, "JavaScript counts the emoji as two"
    assert found["type"] == "paragraphlabels" and found["value"]["paragraphlabels"] == ["Joy"]
    [prediction] = task["predictions"]
    assert prediction["model_version"].startswith("ours") and prediction["score"] == 0.4
    assert len(prediction["result"]) == len(TURNS)
    config = ElementTree.fromstring(labelling_config(["Joy", 'A "b" <c>&']))
    names = {element.tag: element.get("name") for element in config}
    assert names == {"ParagraphLabels": found["from_name"], "Paragraphs": found["to_name"]}
    assert [label.get("value") for label in config[0]] == ["Joy", 'A "b" <c>&']


def test_tasks_are_read_as_conversations() -> None:
    raw = json.dumps(list(tasks_of([dialogue("b"), dialogue("a", anna=["Joy"] * 4)]))).encode()
    reading = read_bytes(raw, "t.label-studio.json")
    assert [found.dialogue_id for found in reading.conversations] == ["b", "a"]
    assert [turn["text"] for turn in reading.conversations[0].turns] == TEXTS


def test_what_the_editor_exports() -> None:
    first = {
        "completed_by": {"id": 3, "email": "anna@x.org"},
        "result": [region("0", "Joy"), region(2, "Sad", 3)],
    }
    by_choice = {"completed_by": 4, "result": [region("1", ["Joy"], kind="choices"), {"type": "relation"}]}
    whole_task = {
        "completed_by": 4,
        "result": [{"type": "choices", "value": {"choices": ["good"]}}, region("0", "Mad")],
    }
    skipped = {"completed_by": 5, "was_cancelled": True, "result": [region("0", "Joy")]}
    [found], notes = read(exported(first, by_choice, whole_task, skipped))
    assert found.dialogue_id == "7" and not found.predictions
    assert found.labels == {
        "anna@x.org": ["Joy", None, "Sad", "Sad"],
        "4": [None, "Joy", None, None],
        "4 (2)": ["Mad", None, None, None],
    }
    assert notes == [
        "1 cancelled annotation left out",
        "1 more annotations of one person for a task, as annotators of their own",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            exported({"result": [region("0", "Joy"), region("0", "Mad")]}),
            "task 7, .*turn 1: both 'Joy' and 'Mad'",
        ),
        (exported({"result": [region("0", ["Joy", "Mad"])]}), "labels ..Joy., .Mad..; give each turn one"),
        (exported({"result": [region("4", "Joy")]}), "from turn '4' to '4' .from 0., but the dialogue has 4"),
        (exported({"result": [region("/div[1]/p[2]", "Joy")]}), "label the turns of a `Paragraphs` tag"),
        (exported({"result": [region("2", "Joy", "1")]}), "from turn '2' to '1'"),
        (exported({"result": "x"}), "result: not a list of objects"),
        (exported({"result": []}), "no turn has a label"),
        ([{"id": 1, "data": {"text": "x"}, "annotations": []}], "no lists of turns, and one is needed"),
        ([{"id": 1, "data": {"d": [{"who": 1}]}, "annotations": []}], "turn 1: no author and text"),
        ([*exported({"result": [region("0", "Joy")]}), {"x": 1}], "task 2: not a task.*JSON-MIN"),
        (exported({"result": [region("0", "Joy")]}) * 2, "dialogue '7' is in an earlier task too"),
        ([{"id": 1, "dialogue": [], "emotion": []}], "not an export of Label Studio"),
    ],
)
def test_what_is_refused(document: Any, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read(document)


def test_a_dialogue_under_another_key() -> None:
    task = {"id": 1, "data": {"chat": [{"speaker": "Ann", "text": "Hi."}]}, "annotations": []}
    task["annotations"] = [{"result": [region("0", "Joy")]}]
    [found], _ = dialogues_of(task, "t.json")
    assert found.turns == [{"speaker": "Ann", "text": "Hi."}] and found.labels == {"annotator": ["Joy"]}
