"""Collect a file's rows (turns or whole dialogues) into dialogues."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import DataFormatError
from ...files.text import c1_note, clean, count_c1, decode_c1, short
from ..names import clean_name
from ..reading import UNKNOWN
from .columns import (
    FIELDS,
    Columns,
    dialogue_key,
    fields_of,
    is_no_speaker,
    mapped_fields,
    names_in,
    other_spelling,
    turn_number,
)
from .labels import is_no_label, label_of


@dataclass
class Turn:
    """One turn of a dialogue.

    Attributes:
        speakers: Everyone who speaks it; the first is the primary speaker.
        text: The utterance.
        emotion: The label, or None.
        known_emotion: What is known of it to a prediction, as given, or None.
        number: Its number in the input, as it stands there, or None.
    """

    speakers: tuple[str, ...]
    text: str
    emotion: str | None = None
    number: Any = None
    known_emotion: Any = None

    def as_dict(self) -> dict[str, Any]:
        """`speaker` and `text` of a turn to label, and its `known_emotion` if any."""
        known = {} if is_no_label(self.known_emotion) else {"known_emotion": self.known_emotion}
        return {"speaker": self.speakers[0], "text": self.text, **known}


@dataclass
class Dialogue:
    """One dialogue.

    Attributes:
        dialogue_id: Its id in the corpus.
        split: The split it belongs to.
        order: Sorts dialogues in time (season, episode, scene ...).
        turns: Its turns, in order.
    """

    dialogue_id: str
    split: str
    order: tuple[Any, ...]
    turns: list[Turn] = field(default_factory=list)


def collect_dialogues(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    name: str,
    unit: str = "line",
    only: str | None = None,
    interleaved: bool = False,
) -> tuple[dict[str, list[Turn]], "Counter[str]"]:
    """Collect rows into the turns of each dialogue, and count what was changed in them.

    Dialogues are in order of first appearance, turns in order of their `turn` numbers, or
    without numbers in order of the rows. The keys of a row may be any of `FIELDS`.

    Args:
        rows: (number, row) pairs; a row is a turn or a whole dialogue.
        name: The file's name, for the messages.
        unit: What the rows' numbers count, for the messages.
        only: The dialogue of rows without `dialogue_id`; None where they need one.
        interleaved: Whether the rows of a dialogue may stand between those of others.

    Returns:
        The turns by dialogue id, and counts for [`change_notes`].

    Raises:
        DataFormatError: naming the row and its field.
    """
    collected: dict[str, list[tuple[int, Any, Turn]]] = {}
    changes: Counter[str] = Counter()  # what was changed in the rows
    is_numbered: dict[str, bool] = {}
    current: str | None = None
    for line, row in rows:
        location = f"{name}, {unit} {line}"
        fields = fields_of(row, location)
        key = (
            only if only is not None and "dialogue_id" not in fields else _dialogue_id(row, fields, location)
        )
        if key != current and key in collected and not interleaved:
            raise DataFormatError(
                f"{location}: dialogue {key!r} begins again after dialogue {current!r}. If these are two "
                "dialogues, give each an id of its own; if it is one, put its rows together, or pass "
                "--interleaved (interleaved=True)."
            )
        current = key
        if key not in collected and (other := other_spelling(key)) in collected:
            raise DataFormatError(
                f"{location}: dialogue {key!r} may be the earlier {other!r}; write the number alike, or give "
                "one of them another id."
            )
        if "turns" in row and not isinstance(row["turns"], list):
            raise DataFormatError(f"{location}, turns: expected a list, got {type(row['turns']).__name__}.")
        items: Any = row.get("turns", [row])
        if not items:
            raise DataFormatError(f"{location}: an empty dialogue; give at least one turn, or delete it.")
        for item in items:
            turn, changed = parse_turn(item, location)
            fields = fields_of(item)
            if changed:
                changes += changes_in(item[fields["text"]])
            changes["no speaker"] += is_no_speaker(item[fields["speaker"]])
            if is_no_label(spelling := item.get(fields.get("emotion", ""))) and spelling not in (None, ""):
                changes[f"label {spelling!r}"] += 1
            turn.number = _number_in(item, fields, is_numbered)
            collected.setdefault(key, []).append((line, turn.number, turn))
    return {key: _in_order(turns, key, f"{name}, {unit}") for key, turns in collected.items()}, changes


def renamed_rows(
    rows: Iterable[tuple[int, Mapping[str, Any]]], columns: Columns, name: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the fields of rows their own names.

    Args:
        rows: (number, row) pairs; a row is a turn or a dialogue with `turns`.
        columns: See [`mapped_fields`].
        name: The file's name, for the messages.

    Raises:
        DataFormatError: for a row without a named column.
    """
    of_dialogue = {field: column for field, column in columns.items() if field == "dialogue_id"}
    of_turn = {field: column for field, column in columns.items() if field != "dialogue_id"}
    for number, row in rows:
        location = f"{name}, row {number}"
        turns = row.get("turns")
        if not isinstance(turns, list):
            yield number, _renamed(row, columns, location)
            continue
        yield (
            number,
            {
                **_renamed(row, of_dialogue, location),
                "turns": [
                    _renamed(turn, of_turn, location) if isinstance(turn, Mapping) else turn for turn in turns
                ],
            },
        )


def _renamed(row: Mapping[str, Any], columns: Columns, location: str) -> dict[str, Any]:
    mapped_fields(row, columns, location)  # all named columns are there
    others = {name: value for name, value in row.items() if name not in (*columns, *columns.values())}
    unknown = {"speaker": UNKNOWN} if columns.get("speaker", "") is None else {}
    return others | {field: row[name] for field, name in columns.items() if name is not None} | unknown


def changes_in(text: str) -> "Counter[str]":
    """Count a text's C1 characters (`c1`), and itself if it has control characters."""
    return Counter(c1=count_c1(text), control=int(clean(text) != decode_c1(text)))


def change_notes(changes: "Counter[str]") -> list[str]:
    """Say what `collect_dialogues` changed, a sentence for each kind."""
    notes = [c1_note(changes["c1"])] if changes["c1"] else []
    if changes["no speaker"]:
        notes.append(unknown_speakers_note(changes["no speaker"]))
    if changes["control"]:
        notes.append(f"control characters in {changes['control']} turns became blanks")
    missing = {kind.removeprefix("label "): n for kind, n in changes.items() if kind.startswith("label ")}
    if missing:
        found = ", ".join(f"{spelling} in {count}" for spelling, count in missing.items())
        notes.append(f"no label: {found} turns")
    return notes


def unknown_speakers_note(count: int) -> str:
    """Say how many turns have no speaker in their cell."""
    return f"{count} turn{'s' * (count > 1)} without a speaker, said by {UNKNOWN}"


def _dialogue_id(row: Mapping[str, Any], fields: Mapping[str, str], location: str) -> str:
    if "dialogue_id" not in fields:
        raise DataFormatError(f"{location}: no 'dialogue_id'; its fields are {', '.join(map(str, row))}.")
    key = dialogue_key(row, fields)
    if key is None or not (cleaned := clean(key).strip()):
        raise DataFormatError(
            f"{location}, dialogue_id: {short(row[fields['dialogue_id']])} is not an id; give every dialogue "
            "a name or number."
        )
    return cleaned


def _number_in(item: Mapping[str, Any], fields: Mapping[str, str], is_numbered: dict[str, bool]) -> Any:
    """The turn's number; None in a column that does not begin with a number."""
    column = fields.get("turn")
    if column is None:
        return None
    if column not in is_numbered:
        is_numbered[column] = column == "turn" or turn_number(item[column]) is not None
    return item[column] if is_numbered[column] else None


def parse_turn(row: Any, location: str) -> tuple[Turn, bool]:
    """Parse a turn, and tell whether its text had control characters."""
    if not isinstance(row, Mapping):
        raise DataFormatError(f"{location}: a turn must be an object, got {type(row).__name__}.")
    fields = fields_of(row, location)
    names = speakers_in(_field(row, fields, "speaker", location), f"{location}, speaker")
    text = _field(row, fields, "text", location)
    if not isinstance(text, str):
        raise DataFormatError(
            f'{location}, text: expected a string, got {short(text)}; write empty text as "".'
        )
    emotion = row.get(fields.get("emotion", ""))
    if not is_no_label(emotion) and not isinstance(emotion, str):
        raise DataFormatError(
            f"{location}, emotion: {short(emotion)} is not a label name; leave it out where there is none."
        )
    cleaned = clean(text)
    known = row.get(fields.get("known_emotion", ""))
    return Turn(names, cleaned, label_of(emotion), known_emotion=known), cleaned != text


def speakers_in(value: Any, location: str) -> tuple[str, ...]:
    """The cleaned names in a speaker's field, the primary one first.

    An empty cell is the unknown speaker.

    Raises:
        DataFormatError: with the location, for a value without a name.
    """
    if is_no_speaker(value):
        return (UNKNOWN,)
    names = names_in(value)
    cleaned = tuple(
        clean_name(clean(name)) if isinstance(name, str) and not is_no_speaker(name) else "" for name in names
    )
    if not cleaned or not all(cleaned):
        raise DataFormatError(
            f"{location}: {short(value)} is not a name or list of names; write '#UNKNOWN#' for an unknown "
            "speaker."
        )
    return cleaned


def _field(row: Mapping[str, Any], fields: Mapping[str, str], field: str, location: str) -> Any:
    if field in fields:
        return row[fields[field]]
    found = ", ".join(map(str, row)) or "none"
    raise DataFormatError(f"{location}: no {FIELDS[field][0]!r}; its fields are {found}.")


def _in_order(turns: list[tuple[int, Any, Turn]], key: str, source: str) -> list[Turn]:
    """Sort a dialogue's turns by number; without numbers, as in the file."""
    if all(number is None or number == "" or number != number for _, number, _ in turns):
        return [turn for _, _, turn in turns]
    numbered: dict[int, tuple[int, Turn]] = {}
    for line, given, turn in turns:
        location = f"{source} {line}"
        number = turn_number(given)
        if number is None:
            raise DataFormatError(
                f"{location}, turn: {short(given)} is not a number; number all turns of {key!r}, or none."
            )
        if number in numbered:
            raise DataFormatError(
                f"{location}: dialogue {key!r} has turn {number} twice (first on "
                f"{source.rpartition(', ')[2]} {numbered[number][0]}); number each turn once, or leave the "
                "field out."
            )
        numbered[number] = (line, turn)
    return [numbered[number][1] for number in sorted(numbered)]
