"""Read a conversation in any supported form: one reader for every entry point."""

import sys
from pathlib import Path

from ..errors import DataFormatError
from ..files.text import c1_note, clean, count_c1, decode_any
from .captions import read as read_captions
from .chats import read as read_chat
from .json_forms import read as read_json_form
from .plain_text import read as read_plain_text
from .reading import Reading
from .tables import read as read_table
from .tables import read_bytes as read_binary_table

# Each reads the texts of its form and returns None for others; plain text takes the rest.
_FORMS = (read_table, read_captions, read_chat, read_json_form, read_plain_text)


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
    return _checked(next(found for form in _FORMS if (found := form(text, name)) is not None), name)


def _checked(reading: Reading, name: str) -> Reading:
    """Refuse a reading without turns or names, and clean its texts."""
    if not reading.conversations or not all(found.turns for found in reading.conversations):
        raise DataFormatError(f"{name}: an empty dialogue; give at least one turn, as `Name: text`.")
    c1 = 0
    for conversation in reading.conversations:
        for turn in conversation.turns:
            c1 += count_c1(turn["text"])
            turn.update(speaker=clean(turn["speaker"]).strip(), text=clean(turn["text"]))
            if not turn["speaker"]:
                raise DataFormatError(f"{name}: a turn without a speaker; write `Name: text`.")
    if c1:
        reading.notes.append(c1_note(c1))
    return reading
