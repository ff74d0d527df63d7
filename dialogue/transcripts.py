"""Read dialogues from scripts, subtitles, JSON, JSONL or CSV, in a file or stdin."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import DataFormatError, EmoNetError
from ..files.guard import parse_json
from ..files.text import csv_rows, decode, json_lines
from .rows import SPEAKER, TEXT, Turn, collect_dialogues, parse_turn
from .subtitles import is_subtitles, subtitle_turns
from .turns import script_line

Dialogue = tuple[str, list[dict[str, Any]]]

_COLUMNS = (SPEAKER, TEXT)


def read_script(source: str) -> list[Dialogue]:
    """Read (dialogue id, turns) of every dialogue of a file, or of stdin for `-`.

    Dialogues are in order of appearance.

    Raises:
        DataFormatError: naming file and line, for a line without a speaker, invalid JSON,
            a missing column or an empty input.
    """
    if source == "-":
        return parse_script(sys.stdin.buffer.read(), "stdin")
    path = Path(source)
    if not path.is_file():
        raise DataFormatError(
            f"{source}: no such file; give a script, JSONL, CSV or SRT file, or - for stdin."
        )
    return parse_script(path.read_bytes(), path.name)


def parse_script(raw: bytes, name: str) -> list[Dialogue]:
    """Parse dialogues from bytes, as `read_script` does.

    Args:
        raw: The content.
        name: Its name for messages; the ending `.csv`, `.tsv` or `.srt` decides its
            format.
    """
    text = decode(raw, name)
    ending = name.lower()
    if ending.endswith((".csv", ".tsv")) or _is_csv(text):
        dialogues = _grouped(csv_rows(text, name, _COLUMNS), name)
    elif ending.endswith(".srt") or is_subtitles(text):
        turns = [{**turn, **_turn(turn, name)} for turn in subtitle_turns(text, name)]
        dialogues = [("0", turns)] if turns else []
    elif text.lstrip()[:1] in ("{", "["):
        dialogues = _json_dialogues(text, name)
    else:
        dialogues = _script_dialogues(text, name)
    if not dialogues or not all(turns for _, turns in dialogues):
        raise DataFormatError(f"{name}: an empty dialogue; give at least one turn, as `Name: text`.")
    return dialogues


def _is_csv(text: str) -> bool:
    """Whether the first line names CSV columns; a `Name: text` line has no such cells."""
    cells = {cell.strip(' \r"') for cell in re.split("[,;\t]", text.partition("\n")[0])}
    return all(cells.intersection(names) for names in _COLUMNS)


def _script_dialogues(text: str, name: str) -> list[Dialogue]:
    """Parse `Name: text` lines; a blank line ends a dialogue."""
    dialogues: list[list[dict[str, Any]]] = [[]]
    for line_number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if dialogues[-1]:
                dialogues.append([])
            continue
        turn = script_line(line)
        if turn is None:
            raise DataFormatError(f"{name}, line {line_number}: no `Name: text` in {line.strip()[:60]!r}.")
        dialogues[-1].append(_turn(turn, f"{name}, line {line_number}"))
    return [(str(index), turns) for index, turns in enumerate(dialogues) if turns]


def _json_dialogues(text: str, name: str) -> list[Dialogue]:
    """Parse one JSON document or JSON lines.

    A list of turns, a list of dialogues, or turns and document dialogues as rows.
    """
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
        return [
            (str(index), [_turn(turn, f"{name}, dialogue {index}") for turn in turns])
            for index, turns in enumerate(document)
        ]
    for number, item in enumerate(document, 1):
        if not isinstance(item, dict):
            raise DataFormatError(
                f"{name}, turn {number}: a turn must be an object, got {type(item).__name__}."
            )
    return _grouped(enumerate(document, 1), name, "turn")


def _grouped(rows: Iterable[tuple[int, dict[str, Any]]], name: str, unit: str = "line") -> list[Dialogue]:
    """Group rows of turns, or of whole dialogues, by `dialogue_id`."""
    dialogues, _ = collect_dialogues(rows, name, unit, only="0")
    return [(key, [_plain(turn) for turn in turns]) for key, turns in dialogues.items()]


def _turn(row: Any, location: str) -> dict[str, Any]:
    return _plain(parse_turn(row, location)[0])


def _plain(turn: Turn) -> dict[str, Any]:
    return {"speaker": turn.speakers[0], "text": turn.text}
