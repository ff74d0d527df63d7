"""Collect a file's rows (turns or whole dialogues) into dialogues."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataFormatError
from ..files.text import clean, short

SPEAKER, TEXT = ("speaker", "role"), ("text", "content")


@dataclass
class Turn:
    """One turn of a dialogue.

    Attributes:
        speakers: Everyone who speaks it; the first is the primary speaker.
        text: The utterance.
        emotion: The label, or None.
    """

    speakers: tuple[str, ...]
    text: str
    emotion: str | None = None


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
    rows: Iterable[tuple[int, Mapping[str, Any]]], name: str, unit: str = "line", only: str | None = None
) -> tuple[dict[str, list[Turn]], int]:
    """Collect rows into the turns of each dialogue, and count the cleaned texts.

    Dialogues are in order of first appearance, turns in order of their `turn` numbers, or
    without numbers in order of the rows.

    Args:
        rows: (number, row) pairs; a row is a turn or a whole dialogue.
        name: The file's name, for the messages.
        unit: What the rows' numbers count, for the messages.
        only: The dialogue of rows without `dialogue_id`; None where they need one.

    Returns:
        The turns by dialogue id, and how many texts had control characters.

    Raises:
        DataFormatError: naming the row and its field.
    """
    collected: dict[str, list[tuple[int, Any, Turn]]] = {}
    cleaned = 0
    for line, row in rows:
        location = f"{name}, {unit} {line}"
        key = only if only is not None and "dialogue_id" not in row else _dialogue_id(row, location)
        if "turns" in row and not isinstance(row["turns"], list):
            raise DataFormatError(f"{location}, turns: expected a list, got {type(row['turns']).__name__}.")
        items: Any = row.get("turns", [row])
        if not items:
            raise DataFormatError(f"{location}: an empty dialogue; give at least one turn, or delete it.")
        for item in items:
            turn, changed = parse_turn(item, location)
            cleaned += changed
            collected.setdefault(key, []).append((line, item.get("turn"), turn))
    return {key: _in_order(turns, key, f"{name}, {unit}") for key, turns in collected.items()}, cleaned


def _dialogue_id(row: Mapping[str, Any], location: str) -> str:
    if "dialogue_id" not in row:
        raise DataFormatError(f"{location}: no 'dialogue_id'; its fields are {', '.join(row)}.")
    key = row["dialogue_id"]
    if isinstance(key, bool) or not isinstance(key, str | int) or not str(key).strip():
        raise DataFormatError(
            f"{location}, dialogue_id: {short(key)} is not an id; give every dialogue a name or number."
        )
    return clean(str(key)).strip()


def parse_turn(row: Any, location: str) -> tuple[Turn, bool]:
    """Parse a turn, and tell whether its text had control characters."""
    if not isinstance(row, Mapping):
        raise DataFormatError(f"{location}: a turn must be an object, got {type(row).__name__}.")
    speaker = _field(row, SPEAKER, location)
    speakers = tuple(speaker) if isinstance(speaker, list | tuple) else (speaker,)
    if not speakers or not all(isinstance(name, str) and clean(name).strip() for name in speakers):
        raise DataFormatError(
            f"{location}, speaker: {short(speaker)} is not a name or list of names; write '#UNKNOWN#' for an "
            "unknown speaker."
        )
    text = _field(row, TEXT, location)
    if not isinstance(text, str):
        raise DataFormatError(
            f'{location}, text: expected a string, got {short(text)}; write empty text as "".'
        )
    emotion = row.get("emotion")
    if emotion is not None and not isinstance(emotion, str):
        raise DataFormatError(
            f"{location}, emotion: {short(emotion)} is not a label name; leave it out where there is none."
        )
    cleaned = clean(text)
    label = clean(emotion or "").strip() or None
    return Turn(tuple(clean(name).strip() for name in speakers), cleaned, label), cleaned != text


def _field(row: Mapping[str, Any], names: tuple[str, ...], location: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    fields = ", ".join(map(str, row)) or "none"
    raise DataFormatError(f"{location}: no {names[0]!r}; its fields are {fields}.")


def _in_order(turns: list[tuple[int, Any, Turn]], key: str, source: str) -> list[Turn]:
    """Sort a dialogue's turns by number; without numbers, as in the file."""
    if all(number in (None, "") for _, number, _ in turns):
        return [turn for _, _, turn in turns]
    numbered: dict[int, tuple[int, Turn]] = {}
    for line, given, turn in turns:
        location = f"{source} {line}"
        try:
            number = int(given)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataFormatError(
                f"{location}, turn: {short(given)} is not a number; number all turns of {key!r}, or none."
            ) from error
        if number in numbered:
            raise DataFormatError(
                f"{location}: dialogue {key!r} has turn {number} twice (first on "
                f"{source.rpartition(', ')[2]} {numbered[number][0]}); number each turn once, or leave the "
                "field out."
            )
        numbered[number] = (line, turn)
    return [numbered[number][1] for number in sorted(numbered)]
