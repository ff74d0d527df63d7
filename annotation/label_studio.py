"""Write dialogues as tasks of Label Studio, and read what its annotators made of them.

A task's data holds a dialogue for the tag `Paragraphs`; a label is a region of the tag
`ParagraphLabels` over a whole turn. Sources: Label Studio's documentation of its task
format, of pre-annotations (`predictions`), and of both tags.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from ..constants import PACKAGE_VERSION
from ..dialogue.tables.columns import fields_of
from ..errors import DataFormatError
from ..files.text import short
from .dialogues import AnnotatedDialogue

ENDING = ".label-studio.json"
_CONTROL, _OBJECT, _TYPE = "emotion", "dialogue", "paragraphlabels"
_HOTKEYS = "1234567890"

Object = Mapping[str, Any]


def labelling_config(labels: Sequence[str]) -> str:
    """Return the labelling interface for the tasks, with the keys 1, 2, … for labels."""
    keys = (f' hotkey="{key}"' for key in _HOTKEYS)
    choices = "\n".join(f"    <Label value={quoteattr(label)}{next(keys, '')}/>" for label in labels)
    return (
        f'<View>\n  <ParagraphLabels name="{_CONTROL}" toName="{_OBJECT}" choice="single">\n{choices}\n'
        f'  </ParagraphLabels>\n  <Paragraphs name="{_OBJECT}" value="${_OBJECT}" layout="dialogue" '
        'nameKey="author" textKey="text"/>\n</View>\n'
    )


def tasks_of(dialogues: Iterable[AnnotatedDialogue], model: str = "emonet") -> Iterator[dict[str, Any]]:
    """Yield a task for each dialogue.

    Annotators named by e-mail address keep their name as `completed_by`, which Label
    Studio looks up among its users. Other names stand in the task's data.

    Args:
        dialogues: The dialogues.
        model: Names the model that made the predictions.
    """
    for dialogue in dialogues:
        labelled = {name: labels for name, labels in dialogue.labels.items() if any(labels)}
        data: dict[str, Any] = {
            "dialogue_id": dialogue.dialogue_id,
            _OBJECT: [{"author": turn["speaker"], "text": turn["text"]} for turn in dialogue.turns],
        }
        if labelled:
            data["annotators"] = list(labelled)
        task: dict[str, Any] = {"data": data, "annotations": [], "predictions": []}
        if labelled:
            task["annotations"] = [
                {
                    **({"completed_by": {"email": name}} if "@" in name else {}),
                    "result": _regions(dialogue, [{"label": label} if label else None for label in labels]),
                }
                for name, labels in labelled.items()
            ]
        if dialogue.predictions:
            scores = [prediction["score"] for prediction in dialogue.predictions]
            task["predictions"] = [
                {
                    "model_version": f"{model} (emonet {PACKAGE_VERSION})",
                    "score": round(sum(scores) / len(scores), 6),
                    "result": _regions(dialogue, dialogue.predictions),
                }
            ]
        yield task


def _regions(dialogue: AnnotatedDialogue, given: Iterable[Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Return a region over each turn that has a label."""
    regions = []
    for index, (turn, found) in enumerate(zip(dialogue.turns, given, strict=True)):
        if found:
            score = {"score": round(found["score"], 6)} if "score" in found else {}
            value = {
                "start": str(index),
                "end": str(index),
                "startOffset": 0,
                "endOffset": len(turn["text"].encode("utf-16-le")) // 2,  # as JavaScript counts
                "text": turn["text"],
                _TYPE: [found["label"]],
            }
            region = {"from_name": _CONTROL, "to_name": _OBJECT, "type": _TYPE, "value": value}
            regions.append({"id": f"turn-{index + 1}", **region, **score})
    return regions


def is_tasks(document: Any) -> bool:
    """Whether a JSON document is a task of Label Studio, or a list of them."""
    first = document[0] if isinstance(document, list) and document else document
    return (
        isinstance(first, Mapping)
        and isinstance(first.get("data"), Mapping)
        and bool({"annotations", "predictions", "id"} & set(first))
    )


def dialogues_of(document: Any, name: str) -> tuple[list[AnnotatedDialogue], list[str]]:
    """Read the tasks of an export (JSON, not JSON-MIN), with all their annotations.

    Cancelled annotations are left out. An annotator is named by e-mail address or id.

    Args:
        document: The parsed JSON.
        name: The file's name, for messages.

    Returns:
        The dialogues, and what was left out or decided.

    Raises:
        DataFormatError: naming the task and the turn, for data without a dialogue, and
            for a turn with two labels of one annotation.
    """
    tasks = document if isinstance(document, list) else [document]
    cancelled = several = 0
    dialogues: dict[str, AnnotatedDialogue] = {}
    for number, task in enumerate(tasks, start=1):
        location = f"{name}, task {task.get('id', number) if isinstance(task, Mapping) else number}"
        if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
            raise DataFormatError(f"{location}: not a task of Label Studio; export as JSON (not JSON-MIN).")
        dialogue = _dialogue(task, location)
        if dialogue.dialogue_id in dialogues:
            raise DataFormatError(
                f"{location}: dialogue {short(dialogue.dialogue_id)} is in an earlier task too; keep one."
            )
        dialogues[dialogue.dialogue_id] = dialogue
        own = task["data"].get("annotators") or []
        found = _objects(task, "annotations", location)
        kept = [annotation for annotation in found if not annotation.get("was_cancelled")]
        cancelled += len(found) - len(kept)
        for index, annotation in enumerate(kept):
            annotator = base = _annotator(annotation, own[index] if index < len(own) else None)
            again = 2
            while annotator in dialogue.labels:
                annotator, again = f"{base} ({again})", again + 1
            several += annotator != base
            where = f"{location}, annotation of {annotator}"
            by_turn = _by_turn(annotation, dialogue, where)
            dialogue.labels[annotator] = [found["label"] if found else None for found in by_turn]
        for prediction in _objects(task, "predictions", location)[-1:]:
            by_turn = _by_turn(prediction, dialogue, f"{location}, prediction")
            predicted = [found for found in by_turn if found is not None and "score" in found]
            if len(predicted) == len(dialogue.turns):
                dialogue.predictions = predicted
    notes = [f"{cancelled} cancelled annotation{'s' * (cancelled > 1)} left out"] if cancelled else []
    if several:
        notes.append(f"{several} more annotations of one person for a task, as annotators of their own")
    return list(dialogues.values()), notes


def _dialogue(task: Object, location: str) -> AnnotatedDialogue:
    """Take the dialogue among a task's data, under whatever key."""
    data: Object = task["data"]
    lists = {
        key: value
        for key, value in data.items()
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
    }
    found = lists.get(_OBJECT, next(iter(lists.values()), None) if len(lists) == 1 else None)
    if found is None:
        raise DataFormatError(
            f"{location}: its data has {len(lists) or 'no'} lists of turns, and one is needed, such as "
            f'"{_OBJECT}": [{{"author": "Ann", "text": "We won!"}}].'
        )
    turns = []
    for number, item in enumerate(found, start=1):
        fields = fields_of(item, location)
        turn = {key: item.get(fields.get(key, "")) for key in ("speaker", "text")}
        if not all(isinstance(value, str) for value in turn.values()):
            raise DataFormatError(
                f"{location}, turn {number}: no author and text; its fields are {', '.join(map(str, item))}."
            )
        turns.append(turn)
    return AnnotatedDialogue(str(data.get("dialogue_id", task.get("id", "0"))), turns)


def _objects(task: Object, key: str, location: str) -> list[Object]:
    found = task.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        if key == "predictions":
            return []  # some exports give their ids alone
        raise DataFormatError(f"{location}, {key}: not a list of objects; export the project again, as JSON.")
    return found


def _annotator(annotation: Object, own: Any) -> str:
    """Name who made an annotation."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id")
    return str(who if who is not None else own if isinstance(own, str) else "annotator")


def _by_turn(annotation: Object, dialogue: AnnotatedDialogue, location: str) -> list[dict[str, Any] | None]:
    """Return `label`, and `score` where there is one, for each turn that has a region."""
    found: list[dict[str, Any] | None] = [None] * len(dialogue.turns)
    for region in _objects(annotation, "result", location):
        value, kind = region.get("value"), str(region.get("type"))
        if not isinstance(value, Mapping) or "start" not in value or not isinstance(value.get(kind), list):
            continue  # a comment, a relation, or a choice for the whole task
        labels = value[kind]
        if len(labels) != 1 or not isinstance(labels[0], str):
            raise DataFormatError(
                f"{location}: a region has the labels {short(labels)}; give each turn one label."
            )
        for index in _turns(value, len(found), location):
            earlier = found[index]
            if earlier is not None and earlier["label"] != labels[0]:
                raise DataFormatError(
                    f"{location}, turn {index + 1}: both {short(earlier['label'])} and {short(labels[0])}; "
                    "keep one label for the turn."
                )
            score = region.get("score")
            found[index] = {"label": labels[0]}
            if isinstance(score, (int, float)) and not isinstance(score, bool):
                found[index] = {"label": labels[0], "score": float(score)}
    return found


def _turns(value: Object, turns: int, location: str) -> range:
    """The turns from a region's `start` to its `end`, which are paragraphs of the tag."""
    try:
        start, end = int(value["start"]), int(value["end"])
    except (KeyError, TypeError, ValueError):
        start, end = 0, -1
    if not 0 <= start <= end < turns:
        raise DataFormatError(
            f"{location}: a region from turn {short(value['start'])} to {short(value.get('end'))} (from 0), "
            f"but the dialogue has {turns} turns; label the turns of a `Paragraphs` tag."
        )
    return range(start, end + 1)
