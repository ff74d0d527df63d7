"""Cut files of turns into chunks of whole dialogues, each readable on its own."""

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import EmoNetError
from ..files.guard import parse_json
from .arrow_schema import NOT_FOR_ARROW, schema_of, unified
from .parquet_rows import DAMAGED, ROWS_AT_ONCE, open_parquet, read_rows, unreadable

COLUMNS = ("dialogue_id", "speaker", "text")
ENDINGS = (".parquet", ".jsonl")


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
    """

    index: int
    path: str
    first: int
    last: int
    offset: int
    ids: str


@dataclass(frozen=True)
class Plan:
    """The chunks of all files, and the schema of their rows."""

    chunks: list[Chunk]
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """The number of rows of all chunks."""
        return sum(chunk.last - chunk.first for chunk in self.chunks)


def input_files(source: str | Path) -> list[Path]:
    """List the file, or the Parquet and JSONL files of the folder by name.

    Raises:
        EmoNetError: for an empty folder, or a file of another type.
    """
    source = Path(source)
    if source.is_file():
        files = [source]
    else:  # Spark and others begin the names of their own files with . or _
        files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.name[0] not in "._"]
    if not files:
        raise EmoNetError(f"{source}: expected a .parquet or .jsonl file of turns, or a folder of them.")
    for path in files:
        if path.suffix not in ENDINGS:
            raise EmoNetError(
                f"{path}: expected only .parquet or .jsonl files of turns; convert the file, or move it away."
            )
    return files


def plan_chunks(files: Sequence[Path], turns: int) -> Plan:
    """Cut the files into chunks of whole dialogues, with at least `turns` rows each.

    This is one pass over the files that reads dialogue ids only.

    Raises:
        EmoNetError: for a file that can't be read, a missing column, or a dialogue whose
            rows are not together; with file and row.
    """
    chunks: list[Chunk] = []
    schemas: list[pa.Schema] = []
    seen: set[bytes] = set()
    for path in files:
        ids = _parquet_ids(path, schemas) if path.suffix == ".parquet" else _json_ids(path, schemas)
        current: Any = None
        first, start, digest = 0, 0, hashlib.sha256()
        row = -1
        for row, (dialogue, offset) in enumerate(ids):
            if dialogue != current:
                key = hashlib.blake2b(dialogue.encode(), digest_size=12).digest()
                if key in seen:
                    raise EmoNetError(
                        f"{path.name}, row {row + 1}: dialogue {dialogue!r} has ended before. The turns of a "
                        "dialogue must be together in one file, under an id of their own: sort the rows, or "
                        "rename one of the two dialogues."
                    )
                seen.add(key)
                current = dialogue
                if row - first >= turns:
                    chunks.append(Chunk(len(chunks), str(path), first, row, start, digest.hexdigest()))
                    first, start, digest = row, offset, hashlib.sha256()
            digest.update(dialogue.encode() + b"\0")
        if row >= first:
            chunks.append(Chunk(len(chunks), str(path), first, row + 1, start, digest.hexdigest()))
    if not chunks:
        raise EmoNetError(f"{files[0]}: there are no turns in the input; give a file with rows.")
    return Plan(chunks, unified(schemas))


def read_chunk(chunk: Chunk, schema: pa.Schema) -> pa.Table:
    """Read the rows of a chunk.

    Raises:
        EmoNetError: for rows that can't be read, lack text or speaker, or whose `turn`
            column is not in order; with file and row.
    """
    path = Path(chunk.path)
    is_parquet = path.suffix == ".parquet"
    table = read_rows(path, chunk.first, chunk.last) if is_parquet else _read_json(path, chunk, schema)
    for name in ("speaker", "text"):
        for row, value in enumerate(_values(table, name, path), start=chunk.first):
            if not isinstance(value, str):
                raise EmoNetError(f"{path.name}, row {row + 1}, {name}: expected text, found {value!r}.")
    _check_order(table, path, chunk)
    if ids_digest(table) != chunk.ids:
        raise EmoNetError(f"{path.name} was changed while it was read: run the command again.")
    return table.cast(schema) if table.schema != schema else table


def _values(table: pa.Table, name: str, path: Path) -> list[Any]:
    try:
        values: list[Any] = table.column(name).to_pylist()
    except UnicodeDecodeError as error:
        raise EmoNetError(
            f"{path.name}, column {name}: text that is not UTF-8 ({error}). Write the file again."
        ) from error
    return values


def _check_order(table: pa.Table, path: Path, chunk: Chunk) -> None:
    """Refuse a `turn` column that contradicts the order of the rows."""
    if "turn" not in table.column_names:
        return
    rows = zip(table.column(COLUMNS[0]).to_pylist(), table.column("turn").to_pylist(), strict=True)
    before: tuple[Any, Any] = (None, None)
    for row, (dialogue, turn) in enumerate(rows, start=chunk.first):
        if not isinstance(turn, (int, float)) or (dialogue == before[0] and not turn > before[1]):
            where = f"{path.name}, row {row + 1}, turn"
            raise EmoNetError(
                f"{where}: {turn!r} after {before[1]!r} in dialogue {dialogue!r}: "
                "sort the rows, or rename the column."
            )
        before = (dialogue, turn)


def ids_digest(table: pa.Table) -> str:
    """Compute the digest of a table's dialogue ids, in order."""
    digest = hashlib.sha256()
    for value in table.column(COLUMNS[0]).to_pylist():
        digest.update(str(value).encode() + b"\0")
    return digest.hexdigest()


def _parquet_ids(path: Path, schemas: list[pa.Schema]) -> Iterator[tuple[str, int]]:
    file = open_parquet(path)
    schemas.append(file.schema_arrow.remove_metadata())
    _check_columns(path, file.schema_arrow.names)
    row = 0
    for group in range(file.num_row_groups):
        end = row + file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[COLUMNS[0]]):
                for value in batch.column(0).to_pylist():
                    yield _dialogue_id(value, path, row), 0
                    row += 1
        except DAMAGED as error:
            raise unreadable(path, group, row, error) from error
        if row != end:
            raise unreadable(path, group, row, f"its metadata says that it ends with row {end}")
    if row != file.metadata.num_rows:
        raise EmoNetError(
            f"{path.name} holds {row} rows, and its metadata says {file.metadata.num_rows}: "
            "write the file again."
        )


def _json_ids(path: Path, schemas: list[pa.Schema]) -> Iterator[tuple[str, int]]:
    records: list[dict[str, Any]] = []
    for row, (offset, record) in enumerate(_json_rows(path)):
        _check_columns(path, record, row)
        records.append(record)
        if len(records) == ROWS_AT_ONCE:
            schemas.append(schema_of(records, f"{path.name}, rows up to {row + 1}"))
            records = []
        yield _dialogue_id(record[COLUMNS[0]], path, row), offset
    if records:
        schemas.append(schema_of(records, f"{path.name}, rows up to {row + 1}"))


def _json_rows(path: Path, offset: int = 0, first: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read rows from a byte on, each with the byte where it starts.

    Args:
        path: The file.
        offset: The byte.
        first: The index of the row that starts there.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for row, line in enumerate(file, start=first):
            start, offset = offset, offset + len(line)
            if start == 0:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                record = parse_json(line)
            except ValueError as error:
                raise EmoNetError(
                    f"{path.name}, line {row + 1}: not JSON ({error}). Correct or delete the line."
                ) from error
            if not isinstance(record, dict):
                raise EmoNetError(
                    f"{path.name}, line {row + 1}: expected an object with {', '.join(COLUMNS)}."
                )
            yield start, record


def _read_json(path: Path, chunk: Chunk, schema: pa.Schema) -> pa.Table:
    rows = []
    for row, (_, record) in enumerate(_json_rows(path, chunk.offset, chunk.first), start=chunk.first):
        if row >= chunk.last:
            break
        rows.append(record)
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except NOT_FOR_ARROW as error:
        raise EmoNetError(
            f"{path.name}, rows {chunk.first + 1} to {chunk.last}: a value has the wrong type ({error}). "
            "Give a column one type."
        ) from error


def _check_columns(path: Path, names: Any, row: int | None = None) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        where = path.name if row is None else f"{path.name}, line {row + 1}"
        raise EmoNetError(f"{where}: lacks {', '.join(missing)}; every row needs {', '.join(COLUMNS)}.")


def _dialogue_id(value: Any, path: Path, row: int) -> str:
    where = f"{path.name}, row {row + 1}, {COLUMNS[0]}"
    if value is None or value == "":
        raise EmoNetError(f"{where}: is empty; give every turn the id of its dialogue.")
    try:
        str(value).encode()
    except ValueError as error:  # a lone surrogate, or a number with thousands of digits
        raise EmoNetError(
            f"{where}: {value!r:.80} is not text; give every dialogue a name or number."
        ) from error
    return str(value)
