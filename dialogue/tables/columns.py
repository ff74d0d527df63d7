"""Find the columns of a turn by the names that people give them."""

import ast
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from numbers import Integral
from typing import Any, TypeAlias

from ...errors import DataFormatError
from ...files.spreadsheet_cells import is_prediction

# The names that a column may have, by the field that it holds. Names of an earlier group
# win over those of a later one; the first name of all is the field's own.
_GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "dialogue_id": (
        ("dialogue_id",),
        ("dialogue", "dialog_id", "dialog", "dial_id", "dialogue_no", "dialogue_number", "dialogue_index"),
        ("conversation_id", "conversation", "conv_id", "convo_id", "conversation_no"),
        ("scene_id", "session_id", "call_id", "thread_id", "chat_id", "meeting_id", "interview_id"),
        ("scene", "session", "call", "thread", "chat", "meeting", "interview"),
    ),
    "turn": (
        ("turn",),
        ("turn_id", "turn_index", "turn_idx", "turn_number", "turn_no", "turn_num", "turn_nr"),
        ("utterance_id", "utterance_index", "utterance_idx", "utterance_number", "utterance_no", "utt_id"),
        ("index", "idx", "order", "position", "sequence"),
    ),
    "speaker": (
        ("speaker",),
        ("role",),
        ("speaker_name", "speakers", "sender", "author", "participant", "character", "sprecher", "locuteur"),
        ("sender_name", "author_name", "from_name", "character_name", "nickname"),
        ("name", "from", "user", "username", "display_name", "person", "who", "speaker_label", "speaker_id"),
        ("speaker_idx", "speaker_index", "speaker_no", "speaker_number"),
    ),
    "text": (
        ("text",),
        ("content",),
        ("utterance", "message", "transcript", "sentence", "transcription", "utterance_text", "turn_text"),
        ("message_text", "msg", "body", "line"),
    ),
    "emotion": (
        ("emotion",),
        ("emotions", "emotion_label", "gold_emotion", "emo"),
        ("label", "labels", "gold", "gold_label"),
    ),
    # What a prediction may read, unlike `emotion`: it has no other name.
    "known_emotion": (("known_emotion",),),
}
FIELDS = {field: tuple(name for group in groups for name in group) for field, groups in _GROUPS.items()}
SPEAKER, TEXT = ("speaker", "role"), ("text", "content")


def _plain(name: Any) -> str:
    """Fold case and leave out what parts words: `Dialogue ID` is `dialogue_id`."""
    folded = unicodedata.normalize("NFKC", str(name)).casefold()
    return re.sub(r"[\s_.\-\ufeff]+", "", folded)


Columns: TypeAlias = Mapping[str, str | None]  # field → its column; None: no column holds it

_RANKS = {
    field: {_plain(name): rank for rank, group in enumerate(groups, 1) for name in group}
    for field, groups in _GROUPS.items()
}


def fields_of(columns: Iterable[Any], location: str = "") -> dict[str, str]:
    """Map each field to the column that holds it, by the names in `FIELDS`.

    A field's own name, written exactly so, wins over other spellings, and these over
    other names. The `label` of a file of predictions is no emotion.

    Args:
        columns: The columns of a table, or the keys of a row.
        location: Begins the error message, such as the file's name.

    Raises:
        DataFormatError: for two columns that fit a field equally well; it names both.
    """
    found = _fields_of(tuple(map(str, columns)))
    if isinstance(found, str):
        raise DataFormatError(f"{location}: {found}" if location else found)
    return dict(found)


def is_column(name: str) -> bool:
    """Whether a name is one that columns of turns have."""
    return bool(fields_of([name]))


def mapped_fields(columns: Iterable[Any], mapping: Columns | None, location: str) -> dict[str, str]:
    """Map each field to its column, as `fields_of` does but for the given ones.

    Args:
        columns: The columns of a table, or the keys of a row.
        mapping: Field → column; None for a field that no column holds.
        location: Begins the error message, such as the file's name.

    Raises:
        DataFormatError: for a field or a column that does not exist.
    """
    given, names = dict(mapping or {}), [str(column) for column in columns]
    found = f"its columns are {', '.join(names) or 'none'}"
    for field, column in given.items():
        if field not in FIELDS:
            raise DataFormatError(
                f"{location}: columns={{{field!r}: {column!r}}}: no such field; the fields are "
                f"{', '.join(FIELDS)}, each with the name of its column."
            )
        if column is not None and column not in names:
            raise DataFormatError(f"{location}: no column {column!r} for the {field}; {found}.")
    others = [name for name in names if name not in (*given, *given.values())]
    fields = fields_of((*given, *others), location)  # a field's own name wins
    return {field: column for field in fields if (column := given.get(field, fields[field])) is not None}


def present(mapping: Columns, columns: Collection[Any]) -> Columns:
    """Let a JSON line without the column of known emotions have none."""
    column = mapping.get("known_emotion")
    return mapping if column is None or column in columns else {**mapping, "known_emotion": None}


@lru_cache(maxsize=1024)
def _fields_of(columns: tuple[str, ...]) -> dict[str, str] | str:
    fields: dict[str, str] = {}
    has_predictions = is_prediction(columns)
    for field, ranks in _RANKS.items():
        fitting: dict[int, list[str]] = {}
        for column in dict.fromkeys(columns):
            rank = 0 if column == field else ranks.get(_plain(column))
            if rank is not None and not (field == "emotion" and rank > 2 and has_predictions):
                fitting.setdefault(rank, []).append(column)
        if fitting:
            best, *others = fitting[min(fitting)]
            if others:
                return (
                    f"columns {best!r} and {others[0]!r} could both be the {field}; rename the right one "
                    f"to {field!r}."
                )
            fields[field] = best
    return fields


def renamed(fields: Mapping[str, str]) -> str:
    """Say which columns were taken under another name; empty without one."""
    taken = [
        f"{column!r} as {field}"
        for field, column in fields.items()
        if _plain(column) != _plain(field) and column not in (*SPEAKER, *TEXT)
    ]
    return f"column {', '.join(taken)}" if taken else ""


def dialogue_key(row: Mapping[str, Any], fields: Mapping[str, str]) -> str | None:
    """The id of a row's dialogue; None for a value that is no id.

    The scenes of a series are numbered anew in every episode, as in the files of
    EmoryNLP: with the columns season and episode the id is `s01_e15_c02`.
    """
    column, *episode = key_columns(row, fields["dialogue_id"])
    key = id_of(row[column])
    if key is not None and episode:
        values = (*(row[name] for name in episode), key)
        numbers = [number for number in map(turn_number, values) if number is not None]
        if len(numbers) == 3:
            return "s{:02d}_e{:02d}_c{:02d}".format(*numbers)
    return key


def key_columns(columns: Iterable[str], column: str) -> tuple[str, ...]:
    """The columns that make the id of a dialogue: `column`, and those of the episode."""
    return (column, *_episode_columns(tuple(columns), column))


@lru_cache(maxsize=256)
def _episode_columns(columns: tuple[str, ...], column: str) -> tuple[str, ...]:
    found = {_plain(name): name for name in columns}
    is_scene = _plain(column) in ("sceneid", "scene") and {"season", "episode"} <= set(found)
    return (found["season"], found["episode"]) if is_scene else ()


def names_in(speaker: Any) -> tuple[Any, ...]:
    """The names in a speaker's cell: one, a list, or a list as text (`['Ann']`).

    The number of a speaker is a name too; 7, 7.0 and the `7.0` of pandas are all `7`.
    """
    if isinstance(speaker, str) and speaker.startswith(("['", '["')) and speaker.endswith("]"):
        try:
            speaker = ast.literal_eval(speaker)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return (speaker,)
    return tuple(map(_name, speaker)) if isinstance(speaker, (list, tuple)) else (_name(speaker),)


def _name(value: Any) -> Any:
    if isinstance(value, str):
        return value[:-2] if re.fullmatch(r"\d{1,3}\.0", value) else value
    number = whole(value)
    return value if number is None else str(number)


def is_no_speaker(value: Any) -> bool:
    """Whether a speaker's cell is empty: None, NaN, blanks, or `nan` as pandas writes.

    `Nan` and `Na` are names of people, `nan` is none.
    """
    if isinstance(value, str):
        return value.strip() in _NO_SPEAKER
    return value is None or bool(value != value) or type(value).__name__ in ("NAType", "NaTType")


_NO_SPEAKER = frozenset(("", "nan", "NaN", "NAN", "None", "null", "NULL", "<NA>", "N/A", "#N/A", "NaT"))


def id_of(value: Any) -> str | None:
    """The text of an id (7 and 7.0 are both `7`); None for what is no id."""
    number = whole(value)
    text = value if isinstance(value, str) else "" if number is None else str(number)
    return text if text.strip() else None


def other_spelling(dialogue_id: str) -> str:
    """The other text of a whole number (`7` and `7.0`); empty for other ids.

    A program that writes `7.0` for 7 makes the ids of one file differ in text alone.
    """
    if not re.fullmatch(r"\d+(\.0)?", dialogue_id):
        return ""
    return dialogue_id.removesuffix(".0") if "." in dialogue_id else f"{dialogue_id}.0"


def turn_number(value: Any) -> int | None:
    """The number of a turn (`3`, `3.0`, `3,0`); None for another value."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([+-]?\d{1,18})(?:[.,]0*)?\s*", value)
        return int(match[1]) if match else None
    return whole(value)


def whole(value: Any) -> int | None:
    """The whole number that a value is, None for another value."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return None
