"""Copy tables and transcripts to Parquet files, which are read in chunks.

A copy has the file's name, for messages.
"""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..dialogue.known_emotions import KNOWN_EMOTION
from ..dialogue.tables.columns import fields_of as find_fields
from ..dialogue.tables.table import ENDINGS as TABLES
from .arrow_schema import ROWS_AT_ONCE, SchemaFinder
from .parquet_rows import open_parquet
from .prediction_input import PredictionInput, TableInput, first_row, open_input

COLUMNS = ("dialogue_id", "speaker", "text")
_OPTIONAL = ("turn", KNOWN_EMOTION)
# Read as they are: every row has the columns above.
DIRECT = (".parquet", ".jsonl")
ENDINGS = tuple(
    dict.fromkeys((*DIRECT, *TABLES, ".txt", ".srt", ".vtt", ".ass", ".ssa", ".json", ".md", ".log"))
)
_FIELDS = b"emonet.fields"


@contextmanager
def copies_in(
    folder: Path, files: Sequence[Path], interleaved: bool, tell: Callable[[str], None]
) -> Iterator[list[Path]]:
    """Replace files that bulk prediction does not read as they are by copies.

    Args:
        folder: Where to write the copies; it is deleted in the end.
        files: The input.
        interleaved: Whether the rows of several dialogues may be mixed.
        tell: Called with what was read from a file that is copied.

    Yields:
        The files to read, in the same order.

    Raises:
        EmoNetError: for a file that can't be read, naming file and line.
    """
    try:
        yield [
            path
            if is_direct(path)
            else _copied(path, folder / f"{index:08d}", interleaved, len(files) > 1, tell)
            for index, path in enumerate(files)
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fields_of(schema: pa.Schema) -> dict[str, str]:
    """The column of each field: `dialogue_id`, `speaker`, `text` and perhaps others."""
    stored = (schema.metadata or {}).get(_FIELDS)
    if stored is not None:
        fields: dict[str, str] = json.loads(stored)
        return fields
    return fields_of_row(schema.names)


def fields_of_row(names: Iterable[str]) -> dict[str, str]:
    """The fields of rows that are read as they are, by the columns of the first one."""
    return {name: name for name in (*COLUMNS, *_OPTIONAL) if name in (*COLUMNS, *names)}


def is_direct(path: Path) -> bool:
    """Whether the rows of a file are read in chunks as they are."""
    ending = path.suffix.lower()
    if ending == ".parquet":
        names = open_parquet(path).schema_arrow.names
        return set(COLUMNS) <= set(names) and _is_plain(names, path)
    if ending != ".jsonl":
        return False
    row = first_row(path)
    # A row with a fault is named by the direct reader.
    if row is None or len(row) < 2:
        return True
    return "turns" not in row and "dialogue_id" in row and _is_plain(list(row), path)


def _is_plain(names: Sequence[str], path: Path) -> bool:
    """Whether no column of another name numbers the turns."""
    return find_fields(names, path.name).get("turn", "turn") == "turn"


def _copied(path: Path, folder: Path, interleaved: bool, several: bool, tell: Callable[[str], None]) -> Path:
    target = folder / path.name
    finder = SchemaFinder()
    with open_input(str(path), interleaved, finder.add) as source:
        # Ids that were not the file's own would come again in the next file.
        rows = ({**row, **_own_id(row, path, source)} if several else row for row in _rows(source))
        fields = {name: name for name in (*COLUMNS, "turn")}
        if isinstance(source, TableInput):
            fields |= source.table.fields
        found = finder.found()
        own = {"dialogue_id": pa.string(), "turn": pa.int64(), "speaker": pa.string()}
        schema = pa.schema(
            [
                found.field(name) if name in found.names else pa.field(name, own[name])
                for name in source.columns
            ]
        )
        kept = {field: column for field, column in fields.items() if field in (*COLUMNS, *_OPTIONAL)}
        schema = schema.with_metadata({_FIELDS: json.dumps(kept).encode()})
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / ".writing"
        with pq.ParquetWriter(unfinished, schema) as writer:
            while block := list(itertools.islice(rows, ROWS_AT_ONCE)):
                writer.write_table(pa.Table.from_pylist(block, schema=schema))
        tell(f"{path.name} is a {source.summary()}" if several else source.summary())
    os.replace(unfinished, target)
    return target


def _rows(source: PredictionInput) -> Iterator[dict[str, Any]]:
    """The rows of an input in its own order."""
    if isinstance(source, TableInput):
        return source.cells()
    return (row.cells for rows in source.dialogues() for row in rows)


def _own_id(row: Mapping[str, Any], path: Path, source: PredictionInput) -> dict[str, str]:
    if isinstance(source, TableInput) and "dialogue_id" in source.table.fields:
        return {}
    return {"dialogue_id": f"{path.name}-{row['dialogue_id']}"}
