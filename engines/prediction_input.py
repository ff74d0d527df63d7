"""Read what `emonet predict` labels: tables row by row, other conversations whole."""

import codecs
import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..dialogue.json_forms.chats import is_message
from ..dialogue.json_forms.documents import turn_rows
from ..dialogue.known_emotions import KNOWN_EMOTION, NO_EVIDENCE, distribution_of
from ..dialogue.reader import read_bytes, read_source
from ..dialogue.reading import Reading, summarize
from ..dialogue.tables.columns import Columns, mapped_fields, other_spelling, present
from ..dialogue.tables.table import ENDINGS, Table, is_csv
from ..errors import DataFormatError, EmoNetError
from ..files.text import decode_any, short
from .turn_numbers import TurnNumbers

_NEEDED = ("speaker", "text")
_MOST_KNOWN = 10_000  # different known emotions that are checked before the first prediction
_HEAD = 2**16  # bytes of a file that tell a table from a transcript

# Called with the location and the cells of every row before any is predicted.
CheckRow = Callable[[str, Mapping[str, Any]], None]


class KnownEmotions:
    """The known emotions of an input, to check before any turn is predicted."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._first)

    def add(self, turn: Mapping[str, Any], location: str) -> None:
        """Note the known emotion of a turn, if it has one."""
        known = turn.get(KNOWN_EMOTION)
        if known is not None and len(self._first) < _MOST_KNOWN:
            self._first.setdefault(repr(known), (location, known))

    def check(self, config: Any) -> None:
        """Check them against the labels of a model.

        Raises:
            EmoNetError: for what is no label or distribution, and a model that takes no
                known labels, naming the location.
        """
        for location, known in self._first.values():
            if not getattr(config, "label_evidence", False):
                raise EmoNetError(f"{location}: a known_emotion. {NO_EVIDENCE}")
            distribution_of(known, config.label_names, location)


@dataclass(frozen=True)
class SourceRow:
    """A turn of the input.

    Attributes:
        index: Its row, from 0 over the whole input.
        cells: All that the input has of it, by column. An input without a dialogue id or
            turn number gets `dialogue_id` or `turn` (from 0 in its dialogue), one without
            speakers `speaker`.
        turn: Its `speaker` and `text`, as the model takes them.
    """

    index: int
    cells: dict[str, Any]
    turn: Mapping[str, Any]


class PredictionInput(Protocol):
    """Conversations to label.

    Attributes:
        name: The name of the file, for messages.
        columns: The columns of its rows.
        turns: The number of rows.
        speakers: The number of turns by speaker.
        known: The first location of each known emotion, by its text.
    """

    name: str
    columns: list[str]
    turns: int
    speakers: Counter[str]
    known: "KnownEmotions"

    def summary(self) -> str:
        """Say on one line what was read."""
        ...

    def dialogues(self) -> Iterator[Iterator[SourceRow]]:
        """Yield dialogues by their first row, with the turns in the order of the talk."""
        ...


@contextmanager
def open_input(
    source: str,
    interleaved: bool = False,
    check: CheckRow | None = None,
    known_column: str | None = None,
) -> Iterator[PredictionInput]:
    """Open a file, or stdin for `-`, and check all of its rows.

    Args:
        source: The file.
        interleaved: Whether the rows of several dialogues may be mixed.
        check: Checks every row further.
        known_column: The column of a table whose labels are known; by default
            `known_emotion`, if there is one.

    Raises:
        DataFormatError: for input that can't be read, naming file and line.
    """
    columns = None if known_column is None else {KNOWN_EMOTION: known_column}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(source)
        if source == "-":  # a table is read twice
            path = Path(folder, "stdin")
            with path.open("wb") as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool)
        table = table_of(path, columns) if path.is_file() else None
        if table is None and known_column is not None:
            raise DataFormatError(
                f"{path.name}: --known-column {known_column} is for tables; in JSON, write `known_emotion` "
                "into a turn."
            )
        if table is not None:
            found = TableInput(table, interleaved, check)
            if known_column is not None and known_column not in found.columns:
                raise DataFormatError(f"{path.name}: no row has {known_column!r}; name another column.")
            yield found
        elif source == "-":
            yield ReadInput(read_bytes(path.read_bytes(), path.name), path.name, check)
        else:
            yield ReadInput(read_source(source), path.name, check)


def table_of(path: Path, columns: Columns | None = None) -> Table | None:
    """Open a file with one row for each turn; None for a file in another form.

    Args:
        path: The file.
        columns: The columns of some fields, see [`mapped_fields`].
    """
    ending = path.suffix.lower()
    if ending in ENDINGS and ending != ".jsonl":
        return Table(path, columns=columns)
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", "replace")
    if ending == ".jsonl" or head.lstrip().startswith(("{", "[")):
        row = first_row(path)
        if row is not None and _is_turn(row, path.name, columns):
            return Table(path, ending=".jsonl", columns=columns)
        rows = turn_rows(decode_any(path.read_bytes(), path.name)[0], path.name)
        return None if rows is None else Table(path, rows)
    if ending not in ("", ".txt"):
        return None
    return Table(path, ending=".csv") if is_csv(head) else None


def _is_turn(row: dict[str, Any], name: str, columns: Columns | None = None) -> bool:
    """Whether a JSON line is a turn of a table, not a dialogue, a message or a column."""
    if "turns" in row or is_message(row):
        return False
    columns = present(columns or {}, row)
    fields = mapped_fields(row, columns, name)
    return set(_NEEDED) <= {*fields, *columns} and not isinstance(row[fields["text"]], dict | list)


def first_row(path: Path) -> dict[str, Any] | None:
    """The first object of a file of JSON lines; None for anything else."""
    with path.open("rb") as file:
        line = next((line for line in file if line.strip()), b"")
    try:
        row = json.loads(line.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


class TableInput:
    """A table whose turns are read as they are predicted.

    The first pass checks every row and finds where dialogues end; of it a few bytes for
    each dialogue stay in memory, and nothing of the rows.

    Args:
        table: The table.
        interleaved: Whether the rows of several dialogues may be mixed. A dialogue is
            then in memory from its first row to its last.
        check: Checks every row further.

    Raises:
        DataFormatError: for a wrong row, and for a dialogue that begins again after
            another one unless `interleaved`.
    """

    def __init__(self, table: Table, interleaved: bool = False, check: CheckRow | None = None):
        self.table, self.name, self.interleaved = table, table.name, interleaved
        needed = _NEEDED if table.has_speakers else ("text",)
        missing = [field for field in needed if field not in table.fields]
        if missing and table.columns:
            raise DataFormatError(
                f"{self.name}: no column for {' and '.join(missing)}; its columns are "
                f"{', '.join(map(str, table.columns))}. Name one `speaker` and one `text`."
            )
        self._id, self._number = table.fields.get("dialogue_id"), table.fields.get("turn")
        self._added = [
            name
            for name, column in (("dialogue_id", self._id), ("turn", self._number))
            if column is None and name not in table.columns
        ] + ["speaker"] * (not table.has_speakers)
        self._state = _state(table.path)
        self._ends: dict[bytes, int] = {}  # the last row of each dialogue
        self._unsorted: set[bytes] = set()
        self.speakers: Counter[str] = Counter()
        self.known = KnownEmotions()
        columns = dict.fromkeys([*self._added, *table.columns])
        numbers: dict[bytes, TurnNumbers] = {}
        before, self.turns = b"", 0
        for line, cells in table.rows():
            location = f"{self.name}, {table.unit} {line}"
            turn = table.turn(line, cells)
            self.speakers[turn["speaker"]] += 1
            self.known.add(turn, location)
            columns.update(dict.fromkeys(cells))
            for name in self._added:
                if name in cells:
                    raise DataFormatError(
                        f"{location}: has a {name!r}, and rows before it have none; give it in every row, or "
                        "in none."
                    )
            if check is not None:
                check(location, cells)
            dialogue = table.dialogue_id(line, cells)
            key = _key(dialogue)
            if key not in self._ends:
                self._check_spelling(location, dialogue)
            if key != before and not interleaved:
                if key in self._ends:
                    raise _begins_again(location, dialogue)
                self._check_numbers(numbers)
            if self._number is not None:
                numbers.setdefault(key, TurnNumbers(self.name, self._number, table.unit)).add(line, cells)
            self._ends[key] = self.turns
            before, self.turns = key, self.turns + 1
        self._check_numbers(numbers)
        if not self.turns:
            raise DataFormatError(f"{self.name}: the table has no turns; give one row for each turn.")
        self.columns = list(columns)

    def summary(self) -> str:
        """Say on one line what was read."""
        return summarize("table", self.speakers, len(self._ends), self.table.notes)

    def cells(self) -> Iterator[dict[str, Any]]:
        """Yield the cells of every row in the table's order."""
        turns: Counter[bytes] = Counter()
        for key, row in self._rows():
            yield self._with_keys(row, turns[key]).cells
            turns[key] += 1

    def dialogues(self) -> Iterator[Iterator[SourceRow]]:
        """Yield dialogues by their first row, with the turns in the order of the talk."""
        grouped = self._mixed() if self.interleaved else self._consecutive()
        for key, rows in grouped:
            turns = enumerate(self._sorted(rows) if key in self._unsorted else rows)
            yield (self._with_keys(row, index) for index, row in turns)

    def _consecutive(self) -> Iterator[tuple[bytes, Iterator[SourceRow]]]:
        rows = itertools.groupby(self._rows(), key=lambda pair: pair[0])
        return ((key, (row for _, row in pairs)) for key, pairs in rows)

    def _mixed(self) -> Iterator[tuple[bytes, Iterator[SourceRow]]]:
        """Collect each dialogue; it is ready when it and those before it have ended."""
        begun: OrderedDict[bytes, list[SourceRow]] = OrderedDict()  # a dict finds its first key slowly
        for key, row in self._rows():
            begun.setdefault(key, []).append(row)
            while begun and self._ends.get(first := next(iter(begun))) == begun[first][-1].index:
                yield first, iter(begun.pop(first))

    def _rows(self) -> Iterator[tuple[bytes, SourceRow]]:
        index = -1
        for index, (line, cells) in enumerate(self.table.rows()):
            turn = self.table.turn(line, cells)
            yield _key(self.table.dialogue_id(line, cells)), SourceRow(index, cells, turn)
        if index + 1 != self.turns or _state(self.table.path) != self._state:
            raise DataFormatError(f"{self.name} was changed while it was read: run the command again.")

    def _check_spelling(self, location: str, dialogue: str) -> None:
        other = other_spelling(dialogue)
        if other and _key(other) in self._ends:
            raise DataFormatError(
                f"{location}: dialogue {short(dialogue)} may be the earlier {short(other)}; write the number "
                "alike, or give one of them another id."
            )

    def _check_numbers(self, numbers: dict[bytes, TurnNumbers]) -> None:
        """Check the turn numbers of the dialogues that ended, and forget them."""
        self._unsorted.update(key for key, given in numbers.items() if not given.sorted())
        numbers.clear()

    def _sorted(self, rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
        kept, numbers = list(rows), TurnNumbers(self.name, str(self._number))
        for row in kept:
            numbers.add(row.index + 1, row.cells)
        return (kept[index] for index in numbers.order())

    def _with_keys(self, row: SourceRow, index: int) -> SourceRow:
        if not self._added:
            return row
        keys = {"dialogue_id": "0", "turn": index, "speaker": row.turn["speaker"]}
        return SourceRow(row.index, {**{name: keys[name] for name in self._added}, **row.cells}, row.turn)


class ReadInput:
    """Conversations that the reader has read whole.

    Args:
        reading: The conversations.
        name: The file's name, for messages.
        check: Checks every row further.
    """

    def __init__(self, reading: Reading, name: str, check: CheckRow | None = None):
        self.reading, self.name = reading, Path(name).name
        columns = dict.fromkeys(["dialogue_id", "turn", "speaker", "text"])
        for conversation in reading.conversations:
            for turn in conversation.turns:
                columns.update(dict.fromkeys(turn))
        self.columns = list(columns)
        self.speakers = reading.speakers
        self.turns = sum(len(conversation.turns) for conversation in reading.conversations)
        self.known = KnownEmotions()
        for row in itertools.chain.from_iterable(self.dialogues()):
            self.known.add(row.turn, f"{self.name}, turn {row.index + 1}")
            if check is not None:
                check(f"{self.name}, turn {row.index + 1}", row.cells)

    def summary(self) -> str:
        """Say on one line what was read."""
        return self.reading.summary()

    def dialogues(self) -> Iterator[Iterator[SourceRow]]:
        """Yield the conversations in order."""
        start = 0
        for conversation in self.reading.conversations:
            yield self._rows(conversation.dialogue_id, conversation.turns, start)
            start += len(conversation.turns)

    @staticmethod
    def _rows(dialogue_id: str, turns: Sequence[dict[str, Any]], start: int) -> Iterator[SourceRow]:
        for index, turn in enumerate(turns):
            yield SourceRow(start + index, {"dialogue_id": dialogue_id, "turn": index, **turn}, turn)


def _begins_again(location: str, dialogue: str) -> DataFormatError:
    return DataFormatError(
        f"{location}: dialogue {short(dialogue)} begins again after another one. Add --interleaved if the "
        "rows of dialogues are mixed; else give each dialogue an id of its own."
    )


def _key(dialogue: str) -> bytes:
    return hashlib.blake2b(dialogue.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _state(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
