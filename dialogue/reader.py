"""Read a conversation in any supported form: one reader for every entry point."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import DataFormatError
from ..files.text import c1_note, clean, count_c1, decode_any
from .captions.subtitles import read as read_captions
from .chats.messengers import read as read_chat
from .json_forms.documents import read as read_json_form
from .json_forms.documents import read_json_value
from .names import Speakers, clean_name, speaker_kinds
from .reading import Conversation, Reading
from .scripts.marked import read as read_marked
from .scripts.plain_text import read as read_plain_text
from .second_form import refuse_second_form
from .tables.frames import is_frame, is_frame_of_turns, read_frame, rows_of
from .tables.table import read as read_table
from .tables.table import read_bytes as read_binary_table
from .tables.table import refuse_fields
from .turns import is_dialogue, plain_turn

logger = logging.getLogger(__name__)

_TURN_LIST = 'a list of {"speaker", "text"} or {"role", "content"} turns, or a string of `Name: text` lines'
_VALUES = f'{_TURN_LIST}, one turn, or {{"turns": [...]}}'
_EMPTY = 'A dialogue needs at least one turn: [{"speaker": "Ann", "text": "Hi."}].'
_TURN_FIELDS = {"speaker", "role", "text", "content"}

_MARK = re.compile("(?:^|(?<=[\r\n]))\ufeff+")  # where files were joined, a line may begin with one

# Each reads the texts of its form and returns None for others; plain text takes the rest.
_FORMS = (read_table, read_captions, read_marked, read_chat, read_json_form, read_plain_text)


def read_source(source: str) -> Reading:
    """Read a file, or stdin for `-`.

    Raises:
        DataFormatError: naming file and line, for a line without a speaker, invalid JSON,
            a missing column or an empty input.
    """
    if source == "-":
        return read_bytes(sys.stdin.buffer.read(), "stdin")
    path = Path(source)
    if not path.is_file():
        raise DataFormatError(
            f"{source}: no such file; give a script, JSONL, CSV or SRT file, or - for stdin."
        )
    return read_bytes(path.read_bytes(), path.name)


def read_bytes(raw: bytes, name: str) -> Reading:
    """Read the content of a file, see [`read_text`]."""
    if (table := read_binary_table(raw, name)) is not None:
        return _checked(table, name)
    text, notes = decode_any(raw, name)
    reading = read_text(text, name)
    reading.notes = [*notes, *reading.notes]
    return reading


def read_text(text: str, name: str = "text") -> Reading:
    """Read conversations from text in any supported form.

    Args:
        text: The text.
        name: Its file name, whose ending may decide the form; also for messages.

    Raises:
        DataFormatError: naming the line, for text without speakers, invalid JSON, a
            missing column or an empty input.
    """
    text = _MARK.sub("", text)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as Macs once ended lines
    if text.startswith("{\\rtf"):
        raise DataFormatError(f"{name}: a document of a word processor (RTF); save it as plain text.")
    reading = _read_form(text, name)
    refuse_fields(reading, name)
    refuse_second_form(text, name, reading, lambda part: _read_form(part, "text"))
    return _checked(reading, name)


def _read_form(text: str, name: str) -> Reading:
    return next(found for form in _FORMS if (found := form(text, name)) is not None)


def _checked(reading: Reading, name: str) -> Reading:
    """Refuse a reading without turns or names, and clean its texts."""
    if not reading.conversations or not all(found.turns for found in reading.conversations):
        raise DataFormatError(f"{name}: an empty dialogue; give at least one turn, as `Name: text`.")
    c1 = 0
    for conversation in reading.conversations:
        for turn in conversation.turns:
            c1 += count_c1(turn["text"])
            turn.update(speaker=clean_name(clean(turn["speaker"])), text=clean(turn["text"]))
            if not turn["speaker"]:
                raise DataFormatError(f"{name}: a turn without a speaker; write `Name: text`.")
    if c1:
        reading.notes.append(c1_note(c1))
    return reading


def read_value(value: Any) -> Reading:
    """Read a conversation that is a Python value.

    Args:
        value: Text in any supported form; a turn `{"speaker", "text"}` or `{"role",
            "content"}`; a list of turns; or `{"turns": turns or text}`, with or without
            a `dialogue_id`.

    Raises:
        TypeError: for a value that is not a conversation, or a turn that is not one.
        ValueError: for a turn without speaker or text, and for text as [`read_text`].
    """
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, Mapping) and "turns" in value:
        if isinstance(value["turns"], Mapping):
            raise TypeError(f'"turns" holds {_TURN_LIST}, not an object.')
        reading = read_value(value["turns"])
        if "dialogue_id" in value and len(reading.conversations) == 1:
            reading.conversations[0].dialogue_id = str(value["dialogue_id"])
        return reading
    if isinstance(value, Mapping):
        if not _TURN_FIELDS.intersection(value):
            raise TypeError(f"A dialogue is {_VALUES}; got the keys {', '.join(map(str, value))}.")
        return Reading("a turn", [Conversation("0", [plain_turn(value)])])
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"A dialogue is {_VALUES}; got {type(value).__name__}.")
    turns = [plain_turn(turn, index) for index, turn in enumerate(value)]
    return Reading("a list of turns", [Conversation("0", turns)])


def read_dialogues(value: Any) -> tuple[list[list[Mapping[str, Any]]], list[str]]:
    """Convert one dialogue or several, in any accepted format, to lists of turns.

    Args:
        value: A dialogue as for [`read_value`], parsed JSON of another program, a table
            with one row for each turn, or an iterable of dialogues.

    Returns:
        The dialogues, whose turns keep their other fields (`emotion`, `speaker_id`) where
        they were given as turns; and what was left out or decided.

    Raises:
        TypeError: for a value that is not a dialogue, naming its index.
        ValueError: for text or a table that can't be read, naming its index.
    """
    if is_dialogue(value) or is_frame_of_turns(value):
        return _turns_and_notes(value)
    if not isinstance(value, Iterable) or isinstance(value, (bytes, bytearray)):
        raise TypeError(f"Give a dialogue or an iterable of dialogues, not {type(value).__name__}.")
    dialogues: list[list[Mapping[str, Any]]] = []
    notes: dict[str, None] = {}
    for index, dialogue in enumerate(rows_of(value) if is_frame(value) else value):
        try:
            refuse_turn(dialogue)
            found, decided = _turns_and_notes(dialogue)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Dialogue {index}: {error}") from error
        dialogues += found
        notes |= dict.fromkeys(decided)
    return dialogues, list(notes)


def _turns_and_notes(dialogue: Any) -> tuple[list[list[Mapping[str, Any]]], list[str]]:
    if is_frame(dialogue):
        frame = read_frame(dialogue)
        return [[*turns] for turns in frame.dialogues], frame.notes
    reading = read_json_value(dialogue)
    if reading is None:
        turns = dialogue["turns"] if isinstance(dialogue, Mapping) and "turns" in dialogue else dialogue
        if isinstance(turns, (list, tuple)):
            read_value(turns)  # refuses what is no turn
            if not turns:
                raise DataFormatError(_EMPTY)
            return [list(turns)], []
        reading = read_value(dialogue)
    notes = [f"read as {reading.form}; {'; '.join(reading.notes)}"] if reading.notes else []
    return [[*conversation.turns] for conversation in reading.conversations], notes


def refuse_turn(item: Any) -> None:
    """Refuse a turn in place of a dialogue: turns that come one by one are no dialogues.

    Raises:
        TypeError: for it.
    """
    if isinstance(item, Mapping) and "turns" not in item and {"speaker", "role"} & set(item):
        raise TypeError(
            "this is one turn, where a dialogue is expected; give the turns of a dialogue as a list, or as "
            '{"turns": [...]}.'
        )


def as_turns(value: Any) -> list[dict[str, str]]:
    """Convert one dialogue in any accepted format to a list of `{"speaker", "text"}`.

    Raises:
        TypeError: for a value that is not a dialogue.
        ValueError: for a turn or line without speaker or text, or several dialogues.
    """
    reading = read_value(value)
    if len(reading.conversations) > 1:
        raise DataFormatError(
            f"One dialogue is expected, found {len(reading.conversations)} ({reading.summary()}); "
            "give them as a list of dialogues."
        )
    return [{"speaker": turn["speaker"], "text": turn["text"]} for turn in reading.conversations[0].turns]


def as_history(value: Any, speakers: Speakers = "auto", known: Iterable[str] = ()) -> dict[str, list[str]]:
    """Convert earlier dialogues to each speaker's utterances, oldest first.

    Args:
        value: None, a mapping of names to utterances, or a list of earlier dialogues in
            order of time. Roles (`The Waiter`, `user`) are other people in every dialogue
            and are left out of the latter.
        speakers: Who is a person, see [`speaker_kinds`].
        known: The persons that the model knows.

    Raises:
        TypeError: for any other value.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping) and "turns" not in value:
        for name, texts in value.items():
            if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
                raise TypeError(f"history[{name!r}] must be a list of strings, oldest first.")
        return {str(name): list(texts) for name, texts in value.items()}
    if not is_dialogue(value) and not isinstance(value, (list, tuple)):
        raise TypeError(
            "history is {name: [utterance, ...]} or a list of earlier dialogues; got "
            f"{type(value).__name__}."
        )
    turns = [
        turn
        for dialogue in ([value] if is_dialogue(value) else value)
        for conversation in read_value(dialogue).conversations
        for turn in conversation.turns
    ]
    if any("known_emotion" in turn for turn in turns):
        logger.warning(
            "history: the known_emotion of turns in earlier dialogues is not read, only their text; known "
            "labels tell about turns of their own dialogue."
        )
    kinds = speaker_kinds((turn["speaker"] for turn in turns), speakers, known)
    history: dict[str, list[str]] = {}
    for turn in turns:
        if not kinds.is_role(turn["speaker"]):
            history.setdefault(turn["speaker"], []).append(turn["text"])
    return history
