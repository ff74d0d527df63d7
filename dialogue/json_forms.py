"""Read conversations in JSON."""

from collections.abc import Iterable
from typing import Any

from ..errors import DataFormatError, EmoNetError
from ..files.guard import parse_json
from ..files.text import json_lines
from .reading import Conversation, Reading
from .rows import collect_dialogues, parse_turn


def read(text: str, name: str) -> Reading | None:
    """Read one JSON document or JSON lines; None for a text in another form.

    A list of turns, a list of dialogues, or turns and document dialogues as rows.

    Raises:
        DataFormatError: naming the line, turn or field.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = parse_json(text)
    except EmoNetError as error:
        raise DataFormatError(
            f"{name}: lists and objects are nested too deeply; give a list of turns."
        ) from error
    except ValueError:
        return _grouped(json_lines(text, name), name)
    if isinstance(document, dict):
        return _grouped([(1, document)], name)
    if document and all(isinstance(item, list) for item in document):
        conversations = [
            Conversation(str(index), [_turn(turn, f"{name}, dialogue {index}") for turn in turns])
            for index, turns in enumerate(document)
        ]
        return Reading("JSON", conversations)
    for number, item in enumerate(document, 1):
        if not isinstance(item, dict):
            raise DataFormatError(
                f"{name}, turn {number}: a turn must be an object, got {type(item).__name__}."
            )
    return _grouped(enumerate(document, 1), name, "turn")


def _grouped(rows: Iterable[tuple[int, dict[str, Any]]], name: str, unit: str = "line") -> Reading:
    """Group rows of turns, or of whole dialogues, by `dialogue_id`."""
    dialogues, _ = collect_dialogues(rows, name, unit, only="0")
    conversations = [
        Conversation(key, [{"speaker": turn.speakers[0], "text": turn.text} for turn in turns])
        for key, turns in dialogues.items()
    ]
    return Reading("JSON", conversations)


def _turn(row: Any, location: str) -> dict[str, Any]:
    turn, _ = parse_turn(row, location)
    return {"speaker": turn.speakers[0], "text": turn.text}
