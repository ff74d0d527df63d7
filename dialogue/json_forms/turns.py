"""Collect the turns of a JSON document, and count what is left out."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from ...errors import DataFormatError
from ...files.text import short
from ..reading import UNKNOWN, Conversation, Reading

Object = Mapping[str, Any]
# Fields of a speaker that is an object, the most readable first.
_NAMES = (
    "displayName",
    "display_name",
    "nickname",
    "real_name",
    "realName",
    "name",
    "userName",
    "username",
    "email",
    "id",
)
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")  # ISO 8601
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:[.,]\d+)?)")


class Piece(NamedTuple):
    """A word, or a part of a turn.

    Attributes:
        speaker: A name or label as in the document; None for a word without one.
        text: The text.
        start: Seconds, or None.
        end: Seconds, or None.
        attached: Whether no blank stands before it, as before a comma.
    """

    speaker: Any
    text: str
    start: float | None = None
    end: float | None = None
    attached: bool = False


class JsonTurns:
    """The turns that one form finds in a document.

    Args:
        name: The document's name, for messages.

    Attributes:
        form: The form's name.
        conversations: What was found so far.
        notes: What was decided.
    """

    def __init__(self, name: str):
        self.name, self.form = name, "JSON"
        self.conversations: list[Conversation] = []
        self.notes: list[str] = []
        self._left_out: Counter[str] = Counter()

    def begin(self, form: str, dialogue_id: Any = None) -> None:
        """Begin a dialogue; without an id of its own it is numbered."""
        self.form = form
        named = isinstance(dialogue_id, str | int) and not isinstance(dialogue_id, bool)
        key = str(dialogue_id).strip() if named else ""
        self.conversations.append(Conversation(key or str(len(self.conversations)), []))

    def add(
        self,
        speaker: Any,
        text: Any,
        location: str,
        start: float | None = None,
        end: float | None = None,
    ) -> None:
        """Add a turn.

        Args:
            speaker: A name, a number, an object with a name, or None for an unknown one.
            text: The text, which is kept as it is.
            location: Where the turn stands, as `segment 3`.
            start: Seconds, or None.
            end: Seconds, or None.

        Raises:
            DataFormatError: for a speaker that is no name, or a text that is no string.
        """
        if not isinstance(text, str):
            raise self.wrong(location, "text", text, "a string")
        turn: dict[str, Any] = {"speaker": self.speaker(speaker, location), "text": text}
        turn.update({key: time for key, time in (("start", start), ("end", end)) if time is not None})
        self.conversations[-1].turns.append(turn)

    def speaker(self, value: Any, location: str) -> str:
        """Return the name in a speaker's field, `#UNKNOWN#` for an empty one."""
        if isinstance(value, Mapping):
            value = next((value[key] for key in _NAMES if value.get(key) not in (None, "")), None)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or value == "":
            return UNKNOWN
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(location, "speaker", value, "a name")
        return str(value).strip() or UNKNOWN

    def leave_out(self, what: str, qualifier: str = "") -> None:
        """Count something that is no turn, as `message` and `without text`."""
        self._left_out[f"{what}|{qualifier}"] += 1

    def objects(self, value: Any, location: str) -> list[Object]:
        """Return a list of objects.

        Raises:
            DataFormatError: naming the item that is none.
        """
        if not isinstance(value, list):
            raise self.wrong(location, "", value, "a list")
        for index, item in enumerate(value, 1):
            if not isinstance(item, Mapping):
                raise self.wrong(f"{location} {index}", "", item, "an object")
        return value

    def wrong(self, location: str, field: str, value: Any, needed: str) -> DataFormatError:
        """Return the error for a field of the wrong type."""
        return DataFormatError(
            f"{self.name}, {location}{field and ', '}{field}: expected {needed}, got {short(value)}."
        )

    def reading(self) -> Reading:
        """Return everything that was found, with its notes."""
        notes = list(self.notes)
        for key, count in self._left_out.items():
            what, _, qualifier = key.partition("|")
            notes.append(f"{count} {what}{'s' * (count != 1)}{qualifier and ' '}{qualifier} left out")
        unknown = sum(turn["speaker"] == UNKNOWN for found in self.conversations for turn in found.turns)
        if unknown:
            notes.append(f"{unknown} turn{'s' * (unknown != 1)} without a speaker")
        keys = [found.dialogue_id for found in self.conversations]
        if len(set(keys)) < len(keys):
            notes.append("ids that repeat: dialogues are numbered")
            for index, found in enumerate(self.conversations):
                found.dialogue_id = str(index)
        if not any(found.turns for found in self.conversations):
            raise DataFormatError(
                "; ".join([f"{self.name}: {self.form} without a turn", *notes])
                + ". Give at least one turn with a text."
            )
        empty = sum(not found.turns for found in self.conversations)
        if empty:
            notes.append(f"{empty} dialogue{'s' * (empty != 1)} without a turn left out")
        return Reading(self.form, [found for found in self.conversations if found.turns], notes)


def merge_words(words: Iterable[Piece]) -> list[Piece]:
    """Merge words into turns at changes of the speaker.

    A word without a speaker belongs to the word before it, the first ones to the word
    behind them.
    """
    turns: list[list[Piece]] = []
    current: Any = None
    for word in words:
        if word.speaker is not None and current is not None and word.speaker != current:
            turns.append([])
        current = current if word.speaker is None else word.speaker
        if not turns:
            turns.append([])
        turns[-1].append(word)
    merged = []
    for turn in turns:
        speaker = next((word.speaker for word in turn if word.speaker is not None), None)
        start = next((word.start for word in turn if word.start is not None), None)
        end = next((word.end for word in reversed(turn) if word.end is not None), None)
        merged.append(Piece(speaker, join_words(turn), start, end))
    return merged


def join_words(words: Iterable[Piece]) -> str:
    """Join words with blanks, unless they bring their own or need none."""
    words = list(words)
    if any(word.text != word.text.strip() for word in words):
        return "".join(word.text for word in words)
    text = ""
    for word in words:
        blank = (
            text and word.text and not word.attached and not (_is_wide(text[-1]) and _is_wide(word.text[0]))
        )
        text += f" {word.text}" if blank else word.text
    return text


def _is_wide(character: str) -> bool:
    """Whether a character is of a script that puts no blanks between words."""
    return unicodedata.east_asian_width(character) in ("W", "F") and unicodedata.category(character) != "So"


def seconds(value: Any, unit: float = 1.0) -> float | None:
    """Convert a time in the document to seconds; None for any other value.

    Args:
        value: A number, `"1.5"`, `"1.5s"`, `"PT1.5S"` or `"00:00:01.5"`.
        unit: The seconds of a plain number's unit.
    """
    if isinstance(value, str):
        if match := _DURATION.fullmatch(value):
            hours, minutes, rest = (float(part or 0) for part in match.groups())
            return hours * 3600 + minutes * 60 + rest
        if match := _CLOCK.fullmatch(value):
            return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3].replace(",", "."))
        try:
            value = float(value.removesuffix("s"))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        time = value * unit
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return round(time, 6) if math.isfinite(time) else None


def oldest_first(items: list[Object], time: Callable[[Object], Any], turns: JsonTurns) -> list[Object]:
    """Reverse messages that stand newest first; others keep their order."""
    times: list[Any] = [value for value in map(time, items) if isinstance(value, str | int | float)]
    kinds = {isinstance(value, str) for value in times}
    if len(kinds) != 1 or len(times) < len(items) or times[0] == times[-1]:
        return items
    if all(later <= earlier for earlier, later in pairwise(times)):
        turns.notes.append("newest first in the file, read from the oldest")
        return items[::-1]
    return items


def has(item: Object, *keys: str) -> bool:
    """Whether an object has all the keys."""
    return all(key in item for key in keys)
