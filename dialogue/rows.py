"""Rows of a file (turns or whole dialogues) → the turns of each dialogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataFormatError
from ..files.text import clean, short

SPEAKER, TEXT = ("speaker", "role"), ("text", "content")


@dataclass
class Turn:
    """One turn: everyone who speaks it (the first is the primary speaker), the text and
    its label or None.
    """

    speakers: tuple[str, ...]
    text: str
    emotion: str | None = None


@dataclass
class Dialogue:
    """One dialogue; `order` sorts dialogues in time (season, episode, scene ...)."""

    dialogue_id: str
    split: str
    order: tuple[Any, ...]
    turns: list[Turn] = field(default_factory=list)


def collect_dialogues(
    rows: Iterable[tuple[int, Mapping[str, Any]]], name: str, unit: str = "line", only: str | None = None
) -> tuple[dict[str, list[Turn]], int]:
    """(number, row) of turns or of whole dialogues → the turns of each dialogue, and how
    many texts held control characters.

    Dialogues stand in order of first appearance, turns in order of their `turn` numbers,
    or without as they come.

    Args:
        name / unit: Of the file and of what the numbers count, for messages.
        only: The dialogue of rows without `dialogue_id`; None where they need one.
    """
    collected: dict[str, list[tuple[int, Any, Turn]]] = {}
    cleaned = 0
    for line, row in rows:
        place = f"{name}, {unit} {line}"
        key = only if only is not None and "dialogue_id" not in row else _dialogue_id(row, place)
        if "turns" in row and not isinstance(row["turns"], list):
            raise DataFormatError(f"{place}, turns: expected a list, got {type(row['turns']).__name__}.")
        items: Any = row.get("turns", [row])
        if not items:
            raise DataFormatError(f"{place}: an empty dialogue; give at least one turn, or take it out.")
        for item in items:
            turn, changed = parse_turn(item, place)
            cleaned += changed
            collected.setdefault(key, []).append((line, item.get("turn"), turn))
    return {key: _in_order(turns, key, f"{name}, {unit}") for key, turns in collected.items()}, cleaned


def _dialogue_id(row: Mapping[str, Any], place: str) -> str:
    if "dialogue_id" not in row:
        raise DataFormatError(f"{place}: no 'dialogue_id'; its fields are {', '.join(row)}.")
    key = row["dialogue_id"]
    if isinstance(key, bool) or not isinstance(key, str | int) or not str(key).strip():
        raise DataFormatError(
            f"{place}, dialogue_id: {short(key)} is no id; give every dialogue a name or number."
        )
    return clean(str(key)).strip()


def parse_turn(row: Any, place: str) -> tuple[Turn, bool]:
    """The turn, and whether its text held control characters."""
    if not isinstance(row, Mapping):
        raise DataFormatError(f"{place}: a turn must be an object, got {type(row).__name__}.")
    speaker = _field(row, SPEAKER, place)
    speakers = tuple(speaker) if isinstance(speaker, list | tuple) else (speaker,)
    if not speakers or not all(isinstance(name, str) and clean(name).strip() for name in speakers):
        raise DataFormatError(
            f"{place}, speaker: {short(speaker)} is no name or list of names; for nobody write '#UNKNOWN#'."
        )
    text = _field(row, TEXT, place)
    if not isinstance(text, str):
        raise DataFormatError(
            f'{place}, text: expected a string, got {short(text)}; empty text is written as "".'
        )
    emotion = row.get("emotion")
    if emotion is not None and not isinstance(emotion, str):
        raise DataFormatError(
            f"{place}, emotion: {short(emotion)} is no label name; leave it out where there is none."
        )
    cleaned = clean(text)
    label = clean(emotion or "").strip() or None
    return Turn(tuple(clean(name).strip() for name in speakers), cleaned, label), cleaned != text


def _field(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    fields = ", ".join(map(str, row)) or "none"
    raise DataFormatError(f"{place}: no {names[0]!r}; its fields are {fields}.")


def _in_order(turns: list[tuple[int, Any, Turn]], key: str, where: str) -> list[Turn]:
    """A dialogue's turns by their numbers; without numbers, as in the file."""
    if all(number in (None, "") for _, number, _ in turns):
        return [turn for _, _, turn in turns]
    numbered: dict[int, tuple[int, Turn]] = {}
    for line, given, turn in turns:
        place = f"{where} {line}"
        try:
            number = int(given)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataFormatError(
                f"{place}, turn: {short(given)} is no number; number all turns of {key!r}, or none."
            ) from error
        if number in numbered:
            raise DataFormatError(
                f"{place}: dialogue {key!r} has turn {number} twice (first on {where.rpartition(', ')[2]} "
                f"{numbered[number][0]}); number its turns once each, or leave the field out."
            )
        numbered[number] = (line, turn)
    return [numbered[number][1] for number in sorted(numbered)]
