"""Read conversations in JSON: our own turns and those of other programs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...errors import DataFormatError, EmoNetError
from ...files.guard import parse_json
from ...files.text import json_lines
from ...files.text import parse_json as parse_document
from ..reading import Conversation, Reading
from ..tables.columns import fields_of
from ..tables.rows import Turn, collect_dialogues, parse_turn, unknown_speakers_note
from .chats import is_message, take_chat, take_messages
from .transcripts import names_of_speakers, take_transcript
from .turns import JsonTurns, Object, has

# How JSON begins; a script may begin with a bracket too, as `[00:01:02] Anna: We won!`.
_BEGINNING = re.compile(r"\s*(?:\[\s*)*(?:\{\s*(?:[\"}]|'\w+'\s*:)|\[\s*[\"\]])")
_NEEDED = (
    'give a list of turns, [{"speaker": "Ann", "text": "We won!"}], or dialogues, '
    '{"dialogue_id": "1", "turns": [...]}'
)
_OWN_SPEAKER, _OWN_TEXT = ("speaker", "role"), ("text", "content")
# Fields of a turn in documents of unknown programs, the likeliest first.
_SPEAKERS = (
    *("speaker", "speakername", "speakerlabel", "speakerid", "author", "authorname", "sender"),
    *("sendername", "from", "username", "user", "participant", "participantname", "role", "name"),
)
_TEXTS = ("text", "utterance", "sentence", "content", "message", "body", "transcript", "value")
_IDS = ("dialogue_id", "conversation_id", "id")
_DEEPEST = 4  # levels of objects around an unknown program's list of turns


def read(text: str, name: str) -> Reading | None:
    """Read one JSON document or JSON lines; None for a text in another form.

    Raises:
        DataFormatError: naming line and column of broken JSON, or the turn and its field;
            for a document of unknown form, naming the fields that it has.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = parse_json(text)
    except EmoNetError as error:
        raise DataFormatError(
            f"{name}: lists and objects are nested too deeply; give a list of turns."
        ) from error
    except ValueError:
        if not _BEGINNING.match(text):
            return None
        if _is_json_lines(text, name):
            return _objects(json_lines(text, name), name, "line")
        return read_document(parse_document(text, name, _remedy(text)), name)
    return read_document(document, name)


def read_json_value(value: Any) -> Reading | None:
    """Read parsed JSON of other programs; None for turns and other values of our own.

    Raises:
        DataFormatError: for a document of unknown form, naming the fields that it has.
    """
    if isinstance(value, Mapping):
        own = "turns" in value or any(key in value for key in (*_OWN_SPEAKER, *_OWN_TEXT))
        is_document = not own or "segments" in value or "utterances" in value or _columns(value) is not None
        return read_document(value, "The input") if is_document and value else None
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
        return None
    turns = JsonTurns("The input")
    if value and take_messages(list(value), turns):
        return turns.reading()
    own = any(key in item for item in value for key in (*_OWN_SPEAKER, *_OWN_TEXT, "turns"))
    if not value or (own and not _are_segments(list(value))):
        return None
    return read_document(list(value), "The input")


def read_document(document: Any, name: str) -> Reading:
    """Read what a JSON document holds.

    Args:
        document: The parsed document.
        name: Its name, for messages.

    Raises:
        DataFormatError: as for `read`.
    """
    if isinstance(document, Mapping):
        columns = _columns(document)
        if columns is not None:
            return _objects(list(enumerate(columns, 1)), name, "row")
        return _objects([(1, document)], name, "line")
    if not isinstance(document, list):
        raise DataFormatError(f"{name}: JSON with {type(document).__name__}; {_NEEDED}.")
    if document and all(isinstance(item, list) for item in document):
        return _lists(document, name)
    for index, item in enumerate(document, 1):
        if not isinstance(item, Mapping):
            raise DataFormatError(
                f"{name}, turn {index}: a turn must be an object, got {type(item).__name__}; {_NEEDED}."
            )
    return _objects(list(enumerate(document, 1)), name, "turn")


def turn_rows(text: str, name: str) -> list[Object] | None:
    """The rows of a JSON document that is a table of turns; None for any other text.

    A dialogue with `turns` gives a row for each turn: the fields of the dialogue, then
    those of the turn.
    """
    text = text.removeprefix("\ufeff")
    try:
        document = parse_json(text)
    except (EmoNetError, ValueError):
        if not _is_nested_line(text.lstrip().partition("\n")[0]):
            return None
        document = [row for _, row in json_lines(text, name)]
    rows: Any = document
    if isinstance(document, Mapping) and "turns" not in document:
        rows = _columns(document)
    elif isinstance(document, Mapping):
        rows = [document]
    elif isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
        rows = [{"turns": turns} for turns in rows]
    rows = flattened(rows or [])
    if rows is None or any(is_message(row) for row in rows) or _are_segments(rows):
        return None
    guess = _guess(rows)
    fields = fields_of(rows[0], name) if guess else {}
    return rows if guess and (fields.get("speaker"), fields.get("text")) == guess else None


def flattened(rows: Iterable[Any]) -> list[Object] | None:
    """Put every turn of nested dialogues in a row; None for anything but objects.

    Dialogues of which none has an id are numbered. A field that dialogue and turn both
    have is the turn's; the dialogue's is then `dialogue_NAME`. An id of the dialogue
    within a turn becomes `turn_NAME`.
    """
    rows = list(rows)
    if not all(isinstance(row, Mapping) for row in rows):
        return None
    flat: list[Object] = []
    for row in numbered(rows):
        if "turns" not in row:
            flat.append(row)
            continue
        turns = row["turns"]
        if not isinstance(turns, list) or not turns or not all(isinstance(turn, Mapping) for turn in turns):
            return None
        outer = {key: value for key, value in row.items() if key != "turns"}
        for turn in turns:
            inner_id = fields_of(turn).get("dialogue_id")
            inner = {f"turn_{key}" if key == inner_id else key: value for key, value in turn.items()}
            names = {key: f"dialogue_{key}" if key in inner else key for key in outer}
            flat.append({**{names[key]: value for key, value in outer.items()}, **inner})
    return flat


def numbered(rows: Sequence[Object]) -> list[Object]:
    """Number nested dialogues from 0 where none has an id."""
    if not any("turns" in row for row in rows) or any("dialogue_id" in fields_of(row) for row in rows):
        return list(rows)
    return [{"dialogue_id": str(index), **row} for index, row in enumerate(rows)]


def _is_nested_line(line: str) -> bool:
    try:
        row = parse_json(line)
    except (EmoNetError, ValueError):
        return False
    return isinstance(row, Mapping) and "turns" in row


def _lists(document: list[list[Any]], name: str) -> Reading:
    """Read a list of dialogues, each of them a list of turns or messages."""
    turns = JsonTurns(name)
    conversations = []
    for index, items in enumerate(document):
        if items and take_messages(items, turns):
            conversations.append(turns.conversations[-1])
            continue
        found = [_own_turn(turn, f"{name}, dialogue {index}") for turn in items]
        conversations.append(Conversation(str(index), found))
    for index, conversation in enumerate(conversations):
        conversation.dialogue_id = str(index)
    notes = turns.reading().notes if turns.conversations else []
    return Reading(turns.form, conversations, notes)


def _objects(rows: Sequence[tuple[int, Object]], name: str, unit: str) -> Reading:
    """Read a list of objects, or one: turns, dialogues, messages or whole transcripts."""
    if not rows:
        return Reading("JSON", [])
    objects, turns = [row for _, row in rows], JsonTurns(name)
    first = objects[0]
    if any("turns" in item for item in objects):
        return _own(rows, name, unit)
    if len(objects) > 1 or not _is_turn(first):
        if _are_segments(objects):
            take_transcript({"segments": objects}, turns)
            return turns.reading()
        if unit != "row" and take_messages(objects, turns):
            return turns.reading()
        if take_transcript({"monologues": objects, "value": objects}, turns):
            return turns.reading()
    if _have_own_fields(objects):
        return _own(rows, name, unit)
    if _take(first, turns):
        for number, item in rows[1:]:
            if not _take(item, turns):
                raise DataFormatError(
                    f"{name}, {unit} {number}: not {turns.form} like the ones before it; {_fields_of(item)}."
                )
        return turns.reading()
    return _unknown(rows, turns, unit)


def _take(document: Object, turns: JsonTurns) -> bool:
    return take_chat(document, turns) or take_transcript(document, turns) or _label_studio(document, turns)


def _own(rows: Iterable[tuple[int, Object]], name: str, unit: str) -> Reading:
    """Group our own rows, of turns or of whole dialogues, by `dialogue_id`."""
    numbers, objects = zip(*rows, strict=True)
    dialogues, changes = collect_dialogues(zip(numbers, numbered(objects), strict=True), name, unit, only="0")
    conversations = [Conversation(key, [*map(_own_dict, turns)]) for key, turns in dialogues.items()]
    unknown = changes["no speaker"]
    return Reading("JSON", conversations, [unknown_speakers_note(unknown)] if unknown else [])


def _own_turn(row: Any, location: str) -> dict[str, Any]:
    return _own_dict(parse_turn(row, location)[0])


def _own_dict(turn: Turn) -> dict[str, Any]:
    numbered = {} if turn.number in (None, "") else {"turn": turn.number}
    return {**numbered, **turn.as_dict()}


def _is_turn(item: Object) -> bool:
    return any(key in item for key in _OWN_SPEAKER) and any(key in item for key in _OWN_TEXT)


def _have_own_fields(items: list[Object]) -> bool:
    """Whether the objects are our own turns, of which some may lack a field."""
    return any(_is_turn(item) for item in items) or (
        any(key in item for item in items for key in _OWN_SPEAKER)
        and any(key in item for item in items for key in _OWN_TEXT)
    )


def _are_segments(items: list[Object]) -> bool:
    own = {"dialogue_id", "turn", "emotion", "role", "content"}
    return all(has(item, "text", "start", "end") and not own & set(item) for item in items)


def _is_json_lines(text: str, name: str) -> bool:
    """Whether a text that is no JSON document has JSON on its first line."""
    if name.lower().endswith((".jsonl", ".ndjson")):
        return True
    first, _, rest = text.strip().partition("\n")
    try:
        parse_json(first)
    except ValueError:
        return False
    return bool(rest.strip())


def _remedy(text: str) -> str:
    if re.match(r"\s*(?:\[\s*)?\{\s*'", text):
        return "JSON has double quotes: write it with `json.dumps`"
    return "write the whole document again, as `json.dump` does"


def _columns(document: Object) -> list[dict[str, Any]] | None:
    """Turn the columns that `DataFrame.to_json` or `to_dict` write into rows."""
    names, cells = document.get("columns"), document.get("data")
    if isinstance(names, list) and isinstance(cells, list):  # orient="split"
        if all(isinstance(row, list) and len(row) == len(names) for row in cells):
            return [dict(zip(map(str, names), row, strict=True)) for row in cells]
        return None
    values = list(document.values())
    if not values or not all(isinstance(value, Mapping | list) for value in values):
        return None
    if _guess([document]) is None:
        return None
    if all(isinstance(value, Mapping) for value in values):
        keys = list(values[0])
        if all(list(value) == keys for value in values):
            return [{column: cells[key] for column, cells in document.items()} for key in keys]
    if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return [dict(zip(document, cells, strict=True)) for cells in zip(*values, strict=True)]
    return None


def _label_studio(document: Object, turns: JsonTurns) -> bool:
    """Read a task of Label Studio: the dialogue among its data."""
    data = document.get("data")
    if not isinstance(data, Mapping) or not {"annotations", "predictions", "id"} & set(document):
        return False
    found = [items for items in data.values() if isinstance(items, list) and _guess(items) is not None]
    if len(found) != 1:
        return False
    turns.begin("Label Studio JSON", data.get("dialogue_id", document.get("id")))
    _take_guessed(found[0], turns)
    return True


def _unknown(rows: Sequence[tuple[int, Object]], turns: JsonTurns, unit: str) -> Reading:
    """Read the lists that have a speaker and a text in their items, of whatever program.

    Raises:
        DataFormatError: with the fields, where an object has no such list, or several.
    """
    objects = [row for _, row in rows]
    guess = _guess(objects)
    if guess is not None:  # the items themselves
        fields = {**fields_of(objects[0], turns.name), "speaker": guess[0], "text": guess[1]}
        fields.pop("emotion", None)
        renamed = [(n, {own: row[key] for own, key in fields.items() if key in row}) for n, row in rows]
        reading = _own(renamed, turns.name, unit)
        _tell_guess("the list", objects, turns)
        reading.notes += turns.notes
        return reading
    for number, item in rows:
        found = list(_lists_of_turns(item))
        by_id = len(found) > 1 and len(found) == len(item) and not {"chosen", "rejected"} & set(item)
        if by_id:
            for key, items in found:
                turns.begin("JSON", key)
                _take_guessed(items, turns)
        elif len(found) == 1:
            turns.begin("JSON", next((item[key] for key in _IDS if key in item), None))
            _take_guessed(found[0][1], turns)
            names = names_of_speakers(_parent_of(item, found[0][0]))
            for turn in turns.conversations[-1].turns:
                turn["speaker"] = names.get(turn["speaker"], turn["speaker"])
        elif found:
            raise DataFormatError(
                f"{turns.name}: both {found[0][0]} and {found[1][0]} may be the conversation; "
                "keep one of them."
            )
        else:
            location = f"{turns.name}, {unit} {number}" if len(rows) > 1 else turns.name
            raise DataFormatError(
                f"{location}: no list of turns and no JSON of a known program; {_fields_of(item)}; {_NEEDED}."
            )
        if number == rows[0][0]:
            _tell_guess(*found[0], turns)
    return turns.reading()


def _tell_guess(path: str, items: list[Any], turns: JsonTurns) -> None:
    speaker, text = _guess(items) or ("", "")
    turns.notes.append(f"{path}: speakers from {speaker!r}, texts from {text!r}")


def _take_guessed(items: list[Any], turns: JsonTurns) -> None:
    speaker, text = _guess(items) or ("", "")
    for index, item in enumerate(turns.objects(items, "item"), 1):
        if item[text] is None:
            turns.leave_out("item", "without text")
        else:
            turns.add(item.get(speaker), item[text], f"item {index}")


def _guess(items: list[Any]) -> tuple[str, str] | None:
    """The fields of speaker and text that the items of a list have."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    speaker = _field(items, _SPEAKERS, any)
    text = _field(items, _TEXTS, all)
    return None if speaker is None or text is None or speaker == text else (speaker, text)


def _field(items: list[Object], names: tuple[str, ...], enough: Any) -> str | None:
    fields = {re.sub(r"[\W_]", "", key).casefold(): key for item in items[:1] for key in item}
    for item in items[1:] if enough is any else []:
        fields = {**{re.sub(r"[\W_]", "", key).casefold(): key for key in item}, **fields}
    for name in names:
        key = fields.get(name)
        if key is None or not enough(key in item for item in items):
            continue
        if not any(_is_list_of_objects(item.get(key)) for item in items):
            return key
    return None


def _parent_of(document: Object, path: str) -> Object:
    """The object that holds the list at a path of [`_lists_of_turns`]."""
    for key in path.split(".")[:-1]:
        document = document[key] if isinstance(document.get(key), Mapping) else {}
    return document


def _is_list_of_objects(value: Any) -> bool:
    """Whether a value is a list of turns itself, as the `transcript` of Sonix is."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _lists_of_turns(document: Object, path: str = "", depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Yield path and items of each list of turns that is not below another turn."""
    for key, value in document.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, list) and (guess := _guess(value)) is not None and guess != _guess([document]):
            yield here, value
        elif isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _lists_of_turns(value, here, depth + 1)


def _fields_of(item: Object) -> str:
    names = [str(key) for key in item]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"its fields are {', '.join(names[:12]) or 'none'}{more}"
