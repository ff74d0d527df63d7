"""Cut files of turns into chunks of whole dialogues, each readable on its own."""

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..dialogue.known_emotions import KNOWN_EMOTION
from ..dialogue.reading import UNKNOWN, summarize
from ..dialogue.tables.columns import dialogue_key, key_columns, other_spelling
from ..dialogue.tables.labels import is_no_label
from ..dialogue.tables.rows import speakers_in, unknown_speakers_note
from ..errors import EmoNetError
from ..files.guard import parse_json
from .arrow_schema import NOT_FOR_ARROW, schema_of, unified
from .bulk_tables import COLUMNS, ENDINGS, fields_of, fields_of_row
from .parquet_rows import DAMAGED, ROWS_AT_ONCE, is_parquet, open_parquet, read_rows, unreadable
from .prediction_input import first_row
from .turn_numbers import TurnNumbers


@dataclass(frozen=True)
class Chunk:
    """Consecutive whole dialogues of a file.

    Attributes:
        index: Its position in the input.
        path: The file.
        first: Its first row of the file, from 0.
        last: The row after its last one.
        offset: The byte where the first row starts (JSONL).
        ids: The digest of the rows' dialogue ids, in order.
        start: The index of its first row in the whole input.
        fields: The (field, column) pairs of `fields_of`.
    """

    index: int
    path: str
    first: int
    last: int
    offset: int
    ids: str
    start: int
    fields: tuple[tuple[str, str], ...]

    def column(self, field: str) -> str:
        """The column of a field that every file has."""
        return dict(self.fields)[field]


@dataclass(frozen=True)
class Plan:
    """The chunks of all files.

    Attributes:
        chunks: The chunks in order.
        schema: The schema of their rows.
        speakers: The number of turns by speaker.
        dialogues: The number of dialogues.
    """

    chunks: list[Chunk]
    schema: pa.Schema
    speakers: "Counter[str]"
    dialogues: int

    @property
    def has_known(self) -> bool:
        """Whether a file has a column of known emotions."""
        return any(
            dict(chunk.fields).get(KNOWN_EMOTION, KNOWN_EMOTION) in self.schema.names for chunk in self.chunks
        )

    @property
    def rows(self) -> int:
        """The number of rows of all chunks."""
        return sum(chunk.last - chunk.first for chunk in self.chunks)

    def summary(self, form: str) -> str:
        """Say on one line what was read, see [`summarize`]."""
        unknown = self.speakers[UNKNOWN]
        return summarize(
            form, self.speakers, self.dialogues, [unknown_speakers_note(unknown)] if unknown else []
        )


def input_files(source: str | Path) -> list[Path]:
    """List the file, or the files of the folder by name.

    Raises:
        EmoNetError: for an empty folder, or a file of another type.
    """
    source = Path(source)
    if source.is_file():
        files = [source]
    else:  # Spark and others begin the names of their own files with . or _
        files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.name[0] not in "._"]
    if not files:
        raise EmoNetError(f"{source}: expected a file of turns ({', '.join(ENDINGS)}), or a folder of them.")
    for path in files:
        if path.suffix.lower() not in ENDINGS:
            raise EmoNetError(
                f"{path}: expected only files of turns ({', '.join(ENDINGS)}); convert the file, or move it "
                "away."
            )
    return files


def plan_chunks(files: Sequence[Path], turns: int, interleaved: bool = False) -> Plan:
    """Cut the files into chunks of whole dialogues, with at least `turns` rows each.

    This is one pass over the files that reads dialogue ids and speakers only, or two
    with `interleaved`.

    Raises:
        EmoNetError: for a file that can't be read, a missing column, or a dialogue whose
            rows are not together (with `interleaved`: in one file); with file and row.
    """
    chunks: list[Chunk] = []
    schemas: list[pa.Schema] = []
    speakers: Counter[str] = Counter()
    seen: set[bytes] = set()
    start = 0
    for path in files:
        pairs = tuple(_fields(path).items())
        end = 0
        for first, end, offset, ids in _cuts(path, turns, interleaved, seen, schemas, speakers):
            chunks.append(Chunk(len(chunks), str(path), first, end, offset, ids, start + first, pairs))
        start += end
    if not chunks:
        raise EmoNetError(f"{files[0]}: there are no turns in the input; give a file with rows.")
    return Plan(chunks, unified(schemas), speakers, len(seen))


def _fields(path: Path) -> dict[str, str]:
    if is_parquet(path):
        return fields_of(open_parquet(path).schema_arrow)
    return fields_of_row(first_row(path) or {})


def _cuts(
    path: Path,
    turns: int,
    interleaved: bool,
    seen: set[bytes],
    schemas: list[pa.Schema],
    speakers: "Counter[str]",
) -> Iterator[tuple[int, int, int, str]]:
    """Yield (first row, row after the last, offset, digest of the ids) of each chunk.

    Args:
        path: The file.
        turns: Least rows of a chunk.
        interleaved: Whether the rows of several dialogues may be mixed.
        seen: The dialogues of earlier files; those of this one are added.
        schemas: Gets the types of the rows.
        speakers: Counts the turns of each.
    """
    ends = _last_rows(path) if interleaved else {}
    begun: set[bytes] = set()
    current, is_open_until = b"", -1
    first, start, digest = 0, 0, hashlib.sha256()
    row = -1
    for row, (dialogue, name, offset, location) in enumerate(_ids(path, schemas)):
        key = _key(dialogue)
        speakers[name] += 1
        if key != current:
            if key in seen or (key in begun and not interleaved):
                raise EmoNetError(
                    f"{location}: dialogue {dialogue!r} begins again after another one. Add "
                    "--interleaved if the rows of dialogues are mixed (within a file); else give each "
                    "dialogue an id of its own, and sort the rows."
                )
            other = other_spelling(dialogue) if key not in begun else ""
            if other and (_key(other) in begun or _key(other) in seen):
                raise EmoNetError(
                    f"{location}: dialogue {dialogue!r} may be the earlier {other!r}; write the number "
                    "alike, or give one of them another id."
                )
            begun.add(key)
            current = key
            if row - first >= turns and row > is_open_until:
                yield first, row, start, digest.hexdigest()
                first, start, digest = row, offset, hashlib.sha256()
            is_open_until = max(is_open_until, ends.get(key, row))
        digest.update(dialogue.encode() + b"\0")
    if row >= first:
        yield first, row + 1, start, digest.hexdigest()
    seen |= begun


def _ids(path: Path, schemas: list[pa.Schema]) -> Iterator[tuple[str, str, int, str]]:
    """Yield dialogue, speaker, first byte (JSONL) and location of each row."""
    return _parquet_ids(path, schemas) if is_parquet(path) else _json_ids(path, schemas)


def _last_rows(path: Path) -> dict[bytes, int]:
    return {_key(dialogue): row for row, (dialogue, *_) in enumerate(_ids(path, []))}


def _key(dialogue: str) -> bytes:
    return hashlib.blake2b(dialogue.encode(), digest_size=12).digest()


def read_chunk(chunk: Chunk, schema: pa.Schema) -> pa.Table:
    """Read the rows of a chunk.

    Raises:
        EmoNetError: for rows that can't be read, or lack text or speaker; with file and
            row.
    """
    path = Path(chunk.path)
    is_table = is_parquet(path)
    table = read_rows(path, chunk.first, chunk.last) if is_table else _read_json(path, chunk, schema)
    for field in ("speaker", "text"):
        name = chunk.column(field)
        for row, value in enumerate(_values(table, name, path), start=chunk.first):
            location = f"{path.name}, row {row + 1}, {name}"
            if field == "speaker":
                speakers_in(value, location)
            elif not isinstance(value, str):
                raise EmoNetError(f"{location}: expected text, found {value!r}.")
    if ids_digest(table, chunk) != chunk.ids:
        raise _changed(path)
    return _conformed(table, schema)


def _changed(path: Path) -> EmoNetError:
    return EmoNetError(f"{path.name} was changed while it was read: run the command again.")


def turns_of(chunk: Chunk, rows: pa.Table) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Yield the row indices and the turns of each dialogue, in the order of the talk.

    Raises:
        EmoNetError: for a wrong, missing or repeated number; with file and row.
    """
    speakers, texts = (rows.column(chunk.column(name)).to_pylist() for name in ("speaker", "text"))
    column = dict(chunk.fields).get(KNOWN_EMOTION, KNOWN_EMOTION)
    known = rows.column(column).to_pylist() if column in rows.column_names else [None] * len(texts)
    for indices in _turns_by_dialogue(chunk, rows):
        turns: list[dict[str, Any]] = []
        for row in indices:
            turns.append({"speaker": speakers_in(speakers[row], chunk.path)[0], "text": texts[row]})
            if not is_no_label(known[row]):
                turns[-1][KNOWN_EMOTION] = known[row]
        yield indices, turns


def _turns_by_dialogue(chunk: Chunk, table: pa.Table) -> list[list[int]]:
    """List the rows of each dialogue in the order of its turn numbers, if it has any."""
    dialogues: dict[str | None, list[int]] = {}
    for row, dialogue in enumerate(_dialogues_in(chunk, table)):
        dialogues.setdefault(dialogue, []).append(row)
    column = dict(chunk.fields).get("turn")
    if column is None or column not in table.column_names:
        return list(dialogues.values())
    values = table.column(column).to_pylist()
    ordered = []
    for rows in dialogues.values():
        numbers = TurnNumbers(Path(chunk.path).name, column, "row")
        for row in rows:
            numbers.add(chunk.first + row + 1, {column: values[row]})
        ordered.append([rows[index] for index in numbers.order()])
    return ordered


def _values(table: pa.Table, name: str, path: Path) -> list[Any]:
    try:
        values: list[Any] = table.column(name).to_pylist()
    except UnicodeDecodeError as error:
        raise EmoNetError(
            f"{path.name}, column {name}: text that is not UTF-8 ({error}). Write the file again."
        ) from error
    return values


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a file's rows the columns and types of the whole input."""
    if table.schema == schema:
        return table
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def ids_digest(table: pa.Table, chunk: Chunk) -> str:
    """Compute the digest of a table's dialogue ids, in order."""
    digest = hashlib.sha256()
    for dialogue in _dialogues_in(chunk, table):
        digest.update(str(dialogue).encode() + b"\0")
    return digest.hexdigest()


def id_columns(chunk: Chunk, columns: Sequence[str]) -> list[str]:
    """The columns of a chunk that make the id of a dialogue."""
    return list(key_columns(columns, chunk.column("dialogue_id")))


def _dialogues_in(chunk: Chunk, table: pa.Table) -> list[str | None]:
    cells = table.select(id_columns(chunk, table.column_names)).to_pylist()
    return [dialogue_key(row, dict(chunk.fields)) for row in cells]


def _parquet_ids(path: Path, schemas: list[pa.Schema]) -> Iterator[tuple[str, str, int, str]]:
    file = open_parquet(path)
    schemas.append(file.schema_arrow.remove_metadata())
    fields, names = fields_of(file.schema_arrow), file.schema_arrow.names
    _check_columns(path.name, names, [fields[name] for name in COLUMNS])
    columns = list(dict.fromkeys([*key_columns(names, fields["dialogue_id"]), fields["speaker"]]))
    row = 0
    for group in range(file.num_row_groups):
        end = row + file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns):
                for cells in batch.select(columns).to_pylist():
                    row += 1
                    location = f"{path.name}, row {row}"
                    yield (
                        _dialogue_id(cells, fields, location),
                        _speaker(cells, fields, location),
                        0,
                        location,
                    )
        except DAMAGED as error:
            raise unreadable(path, group, row, error) from error
        if row != end:
            raise unreadable(path, group, row, f"its metadata says that it ends with row {end}")
    if row != file.metadata.num_rows:
        raise EmoNetError(
            f"{path.name} holds {row} rows, and its metadata says {file.metadata.num_rows}: "
            "write the file again."
        )


def _json_ids(path: Path, schemas: list[pa.Schema]) -> Iterator[tuple[str, str, int, str]]:
    records: list[dict[str, Any]] = []
    fields = _fields(path)
    for offset, location, record in _json_rows(path):
        _check_columns(location, record, COLUMNS)
        if "turn" in record and "turn" not in fields:
            raise EmoNetError(
                f"{location}: has a turn number, and the first row has none; number all turns, or none."
            )
        records.append(record)
        if len(records) == ROWS_AT_ONCE:
            schemas.append(schema_of(records, f"rows up to {location}"))
            records = []
        yield _dialogue_id(record, fields, location), _speaker(record, fields, location), offset, location
    if records:
        schemas.append(schema_of(records, f"rows up to {location}"))


def _json_rows(path: Path, offset: int = 0) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Read the rows after a byte, without blank lines.

    Yields:
        The byte where a row starts, its location and the row.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for number, line in enumerate(file, 1):
            start, offset = offset, offset + len(line)
            if start == 0:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            location = f"{path.name}, line {number}"
            try:
                record = parse_json(line)
            except ValueError as error:
                raise EmoNetError(f"{location}: not JSON ({error}). Correct or delete the line.") from error
            if not isinstance(record, dict):
                raise EmoNetError(f"{location}: expected an object with {', '.join(COLUMNS)}.")
            yield start, location, record


def _read_json(path: Path, chunk: Chunk, schema: pa.Schema) -> pa.Table:
    found = islice(_json_rows(path, chunk.offset), chunk.last - chunk.first)
    try:
        rows = [record for _, _, record in found]
    except EmoNetError as error:  # all were read before
        raise _changed(path) from error
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except NOT_FOR_ARROW as error:
        raise EmoNetError(
            f"{path.name}, rows {chunk.first + 1} to {chunk.last}: a value has the wrong type ({error}). "
            "Give a column one type."
        ) from error


def _check_columns(location: str, names: Any, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        raise EmoNetError(f"{location}: lacks {', '.join(missing)}; every row needs {', '.join(columns)}.")


def _dialogue_id(cells: Mapping[str, Any], fields: Mapping[str, str], location: str) -> str:
    column = fields["dialogue_id"]
    where, value = f"{location}, {column}", cells[column]
    if value is None or value == "":
        raise EmoNetError(f"{where}: is empty; give every turn the id of its dialogue.")
    try:
        dialogue = dialogue_key(cells, fields)
        if dialogue is not None:
            dialogue.encode()
            return dialogue
    except ValueError:  # a lone surrogate, or a number with thousands of digits
        pass
    raise EmoNetError(f"{where}: {value!r:.80} is not an id; give every dialogue a name or number.")


def _speaker(cells: Mapping[str, Any], fields: Mapping[str, str], location: str) -> str:
    column = fields["speaker"]
    return speakers_in(cells[column], f"{location}, {column}")[0]
