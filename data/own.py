"""Read your own conversations from JSONL, CSV or a chat list."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..dialogue.tables.columns import Columns, dialogue_key, fields_of, id_of
from ..dialogue.tables.labels import spelled_as
from ..dialogue.tables.rows import (
    Dialogue,
    change_notes,
    changes_in,
    collect_dialogues,
    parse_turn,
    renamed_rows,
)
from ..dialogue.tables.table import Table
from ..errors import DataFormatError
from ..files.text import clean, short
from .conversations import ConversationBuilder
from .schema import SPLITS


def read_conversation_file(
    path: Path, split: str, interleaved: bool = False, columns: Columns | None = None
) -> list[Dialogue]:
    """Read the dialogues of a CSV, TSV, JSONL, Parquet or XLSX file, in order of time.

    A row is a turn with `dialogue_id`, `speaker` (or `role`), `text` (or `content`), and
    optionally `emotion` and `turn` (which then orders the turns of the dialogue), or with
    other names of these columns, see [`fields_of`]. A JSON line may also be a dialogue
    `{"dialogue_id", "turns": [...]}`. Text may be empty. Warnings say what was decided:
    the encoding, columns with other names, cells that are no labels, and characters that
    were replaced.

    Args:
        path: The file. Its dialogues must be in chronological order.
        split: The split that the dialogues belong to.
        interleaved: Whether the rows of a dialogue may stand between those of others.
        columns: Field → column, for columns with other names; None for a field (the
            speaker) that no column holds.

    Raises:
        DataFormatError: with file, line and field.
    """
    table = Table(path, needed=("dialogue_id", "speaker", "text"), columns=columns)
    rows = renamed_rows(table.rows(), columns, path.name) if columns else table.rows()
    collected, changes = collect_dialogues(rows, path.name, table.unit, interleaved=interleaved)
    for note in dict.fromkeys([*table.notes, *change_notes(changes)]):
        warnings.warn(f"{path.name}: {note}.", stacklevel=2)
    if not collected:
        raise DataFormatError(f"{path.name}: the file holds no turn; write one row for each turn.")
    rank = SPLITS.index(split)
    return [
        Dialogue(key, split, (rank, index), turns) for index, (key, turns) in enumerate(collected.items())
    ]


def groups_in(path: Path, columns: Columns | None = None) -> dict[str, str]:
    """Read the `group` of each dialogue in a file of [`read_conversation_file`].

    Dialogues of one group (an episode, a session, a customer) are in one fold. The column
    stands in every row, or in the line of a whole dialogue.

    Args:
        path: The file.
        columns: See [`read_conversation_file`].

    Raises:
        DataFormatError: for a row without a group, and a dialogue with two.
    """
    table = Table(path, needed=("dialogue_id", "speaker", "text"), columns=columns)
    groups: dict[str, str] = {}
    for number, row in renamed_rows(table.rows(), columns, path.name) if columns else table.rows():
        location = f"{path.name}, {table.unit} {number}"
        key = clean(dialogue_key(row, fields_of(row, location)) or "").strip()
        if "group" not in row:
            raise DataFormatError(
                f"{location}: no 'group'; its fields are {', '.join(map(str, row))}. Folds of whole episodes "
                "need a column 'group' that names the episode, session or case of every dialogue."
            )
        group = id_of(row["group"])
        if group is None:
            raise DataFormatError(
                f"{location}, group: {short(row['group'])} is not a name or number; give each dialogue one."
            )
        if groups.setdefault(key, group) != group:
            raise DataFormatError(
                f"{location}: dialogue {key!r} is in group {groups[key]!r} and in {group!r}; a dialogue "
                "belongs to one."
            )
    return groups


def file_fields(path: Path) -> list[str]:
    """List the columns of a file; of JSON lines with dialogues, the keys of a turn."""
    table = Table(path)
    if "turns" not in table.columns:
        return table.columns
    _, dialogue = next(table.rows())
    return list(dict.fromkeys(name for turn in dialogue["turns"] for name in turn))


def conversation_from_chat(
    turns: Sequence[Mapping[str, Any]], dialogue_id: str = "chat", split: str = "test"
) -> Dialogue:
    """Convert a chat list into a dialogue.

    Args:
        turns: Dictionaries with `speaker` (or `role`), `text` (or `content`) and,
            optionally, `emotion`.
        dialogue_id: Id of the dialogue.
        split: The split that it belongs to.

    Raises:
        DataFormatError: with turn (from 1) and field.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str | bytes):
        raise DataFormatError(f"chat: expected a list of turns, got {type(turns).__name__}.")
    parsed = [parse_turn(turn, f"chat, turn {number}") for number, turn in enumerate(turns, 1)]
    changes = Counter[str]()
    for turn, (_, changed) in zip(turns, parsed, strict=True):
        if changed:
            changes += changes_in(turn[fields_of(turn)["text"]])
    for note in change_notes(changes):
        warnings.warn(f"chat: {note}.", stacklevel=2)
    return Dialogue(dialogue_id, split, (SPLITS.index(split), 0), [turn for turn, _ in parsed])


def own_builder(
    files: Mapping[str, Path],
    labels: list[str],
    name: str,
    chronological_ids: bool = False,
    interleaved: bool = False,
    columns: Columns | None = None,
    order: Mapping[str, int] | None = None,
) -> type[ConversationBuilder]:
    """Make the builder of your own files.

    Args:
        files: Split → file.
        labels: Label names in order of their ids.
        name: Name of the corpus in results.
        chronological_ids: Whether sorting dialogue ids gives the order of time. Otherwise
            it is train, validation, test, each in order of its file.
        interleaved: See [`read_conversation_file`].
        columns: See [`read_conversation_file`].
        order: Dialogue id → its rank in time over all splits. Default: train, validation,
            test, each in order of its file.
    """

    class OwnConversations(ConversationBuilder):
        corpus = name
        description = (
            "The Albatross: a small sitcom written for trying this package." if name == "sample" else ""
        )

        @staticmethod
        def read(path: Path, split: str) -> list[Dialogue]:
            dialogues = read_conversation_file(path, split, interleaved, columns)
            for dialogue in dialogues:
                if chronological_ids:
                    dialogue.order = (dialogue.dialogue_id,)
                elif order:
                    dialogue.order = (order[dialogue.dialogue_id],)
                for turn in dialogue.turns:
                    turn.emotion = turn.emotion and spelled_as(labels, turn.emotion)
            return dialogues

        @classmethod
        def episodes(cls, paths: Mapping[str, Path], dialogues: Sequence[Dialogue]) -> list[str]:
            if name == "sample":  # ids like s01e09_c01
                return [dialogue.dialogue_id.partition("_")[0] for dialogue in dialogues]
            groups = {
                key: group for path in paths.values() for key, group in groups_in(path, columns).items()
            }
            return [groups[dialogue.dialogue_id] for dialogue in dialogues]

    OwnConversations.labels, OwnConversations.interleaved = labels, interleaved
    OwnConversations.reading = repr((sorted((columns or {}).items()), sorted((order or {}).items())))
    OwnConversations.files = {split: path.name for split, path in files.items()}
    return OwnConversations
