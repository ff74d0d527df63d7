"""Your own conversations: JSONL or CSV, a turn a row or a dialogue a line, with errors that name file, line and column."""

import csv
import json
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .conversations import ConversationBuilder
from .schema import DataFormatError, Dialogue, Turn

_SPEAKER, _TEXT = ("speaker", "role"), ("text", "content")


def read_csv_rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV file; every cell is text, also `None` and `NA`.

    Raises:
        DataFormatError: for a missing column, a row with too few or too many cells, or bytes that are not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in required if name not in (reader.fieldnames or [])]
            if missing:
                raise DataFormatError(
                    f"{path.name}, line 1: no column {', '.join(missing)}; the columns are {', '.join(reader.fieldnames or [])}."
                )
            for row in reader:
                if None in row or None in row.values():
                    raise DataFormatError(
                        f"{path.name}, line {reader.line_num}: not as many cells as the header has columns; quote cells "
                        "that hold commas."
                    )
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8.") from error
    except csv.Error as error:
        raise DataFormatError(f"{path.name}: not a CSV file ({error}).") from error


def read_conversation_file(path: Path, split: str) -> list[Dialogue]:
    """The dialogues of a `.jsonl` or `.csv` file, in file order.

    A row is a turn with `dialogue_id`, `speaker` (or `role`), `text` (or `content`), optional `emotion` and `turn`; a JSON line
    may also be a dialogue `{"dialogue_id", "turns": [...]}`. Empty text is legal; control characters become blanks.

    Raises:
        DataFormatError: naming file, line and field.
    """
    if path.suffix.lower() == ".csv":
        rows: Iterator[tuple[int, dict[str, Any]]] = read_csv_rows(path, ("dialogue_id",))
    else:
        rows = _jsonl_rows(path)
    dialogues: dict[str, Dialogue] = {}
    numbers: dict[str, list[tuple[int, int]]] = {}
    cleaned = 0
    for line, row in rows:
        if "dialogue_id" not in row:
            raise DataFormatError(f"{path.name}, line {line}: no 'dialogue_id'; its fields are {', '.join(row)}.")
        key = str(row["dialogue_id"])
        dialogue = dialogues.setdefault(key, Dialogue(key, split, (split, len(dialogues))))
        inner = row.get("turns")
        for item in inner if isinstance(inner, list) else [row]:
            turn = _turn(item, f"{path.name}, line {line}")
            text = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in turn.text)
            cleaned += text != turn.text
            turn.text = text
            number = item.get("turn", len(dialogue.turns))
            try:
                numbers.setdefault(key, []).append((int(number), line))
            except (TypeError, ValueError) as error:
                raise DataFormatError(f"{path.name}, line {line}, turn: {number!r} is no number.") from error
            dialogue.turns.append(turn)
    for key, places in numbers.items():
        _sort_turns(dialogues[key], places, path)
    if cleaned:
        warnings.warn(f"{path.name}: control characters in {cleaned} turns became blanks.", stacklevel=2)
    if not dialogues:
        raise DataFormatError(f"{path.name}: the file holds no turn.")
    return list(dialogues.values())


def own_builder(files: dict[str, Path], labels: list[str], name: str) -> type[ConversationBuilder]:
    """A builder for these files (split → file) under this name and label set."""

    class OwnConversations(ConversationBuilder):
        corpus = name
        description = "Conversations of the user's own."

        @staticmethod
        def read(path: Path, split: str) -> list[Dialogue]:
            return read_conversation_file(path, split)

    OwnConversations.labels = labels
    OwnConversations.files = {split: path.name for split, path in files.items()}
    return OwnConversations


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line, content in enumerate(file, 1):
                if not content.strip():
                    continue
                try:
                    row = json.loads(content)
                except ValueError as error:
                    raise DataFormatError(f"{path.name}, line {line}: not JSON ({error}).") from error
                if not isinstance(row, dict):
                    raise DataFormatError(f"{path.name}, line {line}: expected an object, got {type(row).__name__}.")
                yield line, row
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8.") from error


def _turn(row: Any, place: str) -> Turn:
    if not isinstance(row, dict):
        raise DataFormatError(f"{place}: a turn must be an object, got {type(row).__name__}.")
    speaker = next((row[name] for name in _SPEAKER if row.get(name) is not None), None)
    text = next((row[name] for name in _TEXT if row.get(name) is not None), None)
    fields = ", ".join(map(str, row))
    speakers = tuple(speaker) if isinstance(speaker, list) else (speaker,)
    if not speakers or not all(isinstance(name, str) for name in speakers):
        raise DataFormatError(f"{place}: no 'speaker' (a name, or a list of names); its fields are {fields}.")
    if not isinstance(text, str):
        raise DataFormatError(f"{place}: no 'text'; its fields are {fields}. Empty text is written as \"\".")
    emotion = row.get("emotion") or None
    if emotion is not None and not isinstance(emotion, str):
        raise DataFormatError(f"{place}, emotion: {emotion!r} is no label name.")
    return Turn(speakers, text, emotion)


def _sort_turns(dialogue: Dialogue, places: list[tuple[int, int]], path: Path) -> None:
    seen: dict[int, int] = {}
    for number, line in places:
        if number in seen:
            raise DataFormatError(
                f"{path.name}, line {line}: dialogue {dialogue.dialogue_id!r} has turn {number} twice (first on line "
                f"{seen[number]}); number its turns once each, or leave the field out."
            )
        seen[number] = line
    order = sorted(range(len(places)), key=lambda place: places[place][0])
    dialogue.turns = [dialogue.turns[place] for place in order]
