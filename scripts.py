"""Reading what people want predicted: `Name: text` lines, a chat as JSON, JSONL or CSV, from a file or stdin."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import EmoNetError

Dialogue = tuple[str, list[dict[str, Any]]]
_LINE = re.compile(r"\s*([^:\n]{1,80}?)\s*:\s?(.*)")


def read_script(source: str) -> list[Dialogue]:
    """(dialogue id, turns) of every dialogue of a file, or of stdin for `-`, in order of appearance.

    Raises:
        EmoNetError: naming file and line, for a line without a speaker, wrong JSON, a missing column or an empty input.
    """
    if source == "-":
        return parse_script(sys.stdin.buffer.read(), "stdin")
    path = Path(source)
    if not path.is_file():
        raise EmoNetError(f"{source}: no such file; give a script, JSONL or CSV file, or - for stdin.")
    return parse_script(path.read_bytes(), path.name)


def parse_script(raw: bytes, name: str) -> list[Dialogue]:
    """As `read_script`, from bytes; `name` stands in messages, and its ending `.csv` says CSV."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EmoNetError(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8.") from error
    if name.lower().endswith(".csv"):
        dialogues = _grouped(_csv_rows(text, name), name)
    elif text.lstrip()[:1] in ("{", "["):
        dialogues = _json_dialogues(text, name)
    else:
        dialogues = _script_dialogues(text, name)
    if not dialogues or not all(turns for _, turns in dialogues):
        raise EmoNetError(f"{name}: an empty dialogue; give at least one turn, as `Name: text`.")
    return dialogues


def _script_dialogues(text: str, name: str) -> list[Dialogue]:
    """`Name: text` lines; a blank line ends a dialogue."""
    dialogues: list[list[dict[str, Any]]] = [[]]
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if dialogues[-1]:
                dialogues.append([])
            continue
        match = _LINE.fullmatch(line.rstrip("\r"))
        if not match:
            raise EmoNetError(f"{name}, line {number}: no `Name: text` in {line.strip()[:60]!r}.")
        dialogues[-1].append({"speaker": match[1], "text": match[2]})
    return [(str(number), turns) for number, turns in enumerate(dialogues) if turns]


def _json_dialogues(text: str, name: str) -> list[Dialogue]:
    """A chat list, a list of chats, or JSON lines: a turn a line, or a dialogue a line under `turns`."""
    try:
        whole = json.loads(text)
    except ValueError:
        return _grouped(_json_lines(text, name), name)
    if isinstance(whole, dict):
        return _grouped([(1, whole)], name)
    if whole and all(isinstance(item, list) for item in whole):
        return [(str(number), [_turn(t, f"{name}, dialogue {number}") for t in turns]) for number, turns in enumerate(whole)]
    return _grouped(list(enumerate(whole, 1)), name)


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise EmoNetError(f"{name}, line {number}: not JSON ({error}).") from error


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        if None in row or None in row.values():
            raise EmoNetError(f"{name}, line {reader.line_num}: not as many cells as the header has columns.")
        yield reader.line_num, row


def _grouped(rows: Any, name: str) -> list[Dialogue]:
    """Rows of turns (or of whole dialogues) → dialogues by `dialogue_id`, in order of first appearance."""
    dialogues: dict[str, list[dict[str, Any]]] = {}
    for number, row in rows:
        place = f"{name}, line {number}"
        if not isinstance(row, dict):
            raise EmoNetError(f"{place}: expected an object with speaker and text, got {type(row).__name__}.")
        turns = dialogues.setdefault(str(row.get("dialogue_id", "0")), [])
        inner = row.get("turns")
        turns.extend(_turn(turn, place) for turn in (inner if isinstance(inner, list) else [row]))
    return list(dialogues.items())


def _turn(row: Any, place: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise EmoNetError(f"{place}: a turn must be an object with speaker and text, got {type(row).__name__}.")
    speaker, text = row.get("speaker", row.get("role")), row.get("text", row.get("content"))
    if isinstance(speaker, list) and speaker:
        speaker = speaker[0]  # several people at once: the first is the primary speaker
    if not isinstance(speaker, str):
        raise EmoNetError(f"{place}: no 'speaker' (or 'role'); its fields are {', '.join(map(str, row))}.")
    if not isinstance(text, str):
        raise EmoNetError(f"{place}: no 'text' (or 'content'); its fields are {', '.join(map(str, row))}.")
    return {"speaker": speaker, "text": text}
