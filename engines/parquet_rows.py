"""Read the rows of a Parquet file in order, each decoded once.

A row group can only be read from its start, so the file stays open between chunks.
"""

import os
import threading
from bisect import bisect_right
from collections.abc import Generator
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import EmoNetError

ROWS_AT_ONCE = 4096
# Errors of reading a Parquet file with flipped bytes.
DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)
_MAGIC = b"PAR1"
_open = threading.local()


def read_rows(path: Path, first: int, last: int) -> pa.Table:
    """Read the rows of a file from `first` up to but without `last`.

    The file stays open after them, for the next rows; `close_rows` closes it.

    Raises:
        EmoNetError: for rows that can't be read.
    """
    reader: _RowReader | None = getattr(_open, "reader", None)
    if reader is None or not reader.leads_to(path, first):
        close_rows()
        reader = _RowReader(path, first)
    _open.reader = None  # after an error its position is unknown
    table = reader.read(first, last)
    _open.reader = reader
    return table


def close_rows() -> None:
    """Close the file that the last `read_rows` of this thread left open."""
    reader, _open.reader = getattr(_open, "reader", None), None
    if reader is not None:
        reader.close()


class _RowReader:
    """A position in a file that moves forward.

    It holds some thousand rows, never a whole row group, which may have millions.
    """

    def __init__(self, path: Path, first: int):
        self.path = path
        self.state = _state(path)
        self.process = os.getpid()  # a fork must not use the open file of its parent
        self.file = open_parquet(path)
        sizes = (self.file.metadata.row_group(group).num_rows for group in range(self.file.num_row_groups))
        self.starts = [0, *accumulate(sizes)]
        group = self._group_of(first)
        self.row = self.starts[group]
        self.batches = self._batches(group)
        self.rest: pa.RecordBatch | None = None

    def leads_to(self, path: Path, first: int) -> bool:
        """Whether row `first` of the same file is next, or later in the row group."""
        same = (self.path, self.state, self.process) == (path, _state(path), os.getpid())
        return same and (
            first == self.row or (first > self.row and self._group_of(first) == self._group_of(self.row))
        )

    def read(self, first: int, last: int) -> pa.Table:
        """Read rows up to but without `last`, and skip those before `first`."""
        parts = []
        while self.row < last:
            batch = next(self.batches) if self.rest is None else self.rest
            taken = batch.slice(0, last - self.row)
            self.rest = batch.slice(taken.num_rows) if taken.num_rows < batch.num_rows else None
            if self.row + taken.num_rows > first:
                parts.append(taken.slice(max(first - self.row, 0)))
            self.row += taken.num_rows
        return pa.Table.from_batches(parts).replace_schema_metadata(None)

    def close(self) -> None:
        self.batches.close()
        self.file.close()

    def _group_of(self, row: int) -> int:
        return bisect_right(self.starts, row) - 1

    def _batches(self, first: int) -> Generator[pa.RecordBatch, None, None]:
        """Yield the batches from a row group on."""
        for group in range(first, self.file.num_row_groups):
            row = self.starts[group]
            try:
                for batch in self.file.iter_batches(ROWS_AT_ONCE, row_groups=[group]):
                    yield batch
                    row += batch.num_rows
            except DAMAGED as error:
                raise unreadable(self.path, group, row, error) from error
            if (end := self.starts[group + 1]) != row:  # its columns differ in length
                raise unreadable(self.path, group, row, f"its metadata says that it ends with row {end}")
        raise EmoNetError(f"{self.path.name} was changed while it was read: run the command again.")


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet: by its ending, or by its content as a copy."""
    if path.suffix.lower() == ".parquet":
        return True
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file.

    Raises:
        EmoNetError: for a file whose footer can't be read.
    """
    try:
        return pq.ParquetFile(path)
    except DAMAGED as error:
        raise EmoNetError(f"{path}: cannot read Parquet file ({error}). Write it again.") from error


def unreadable(path: Path, group: int, row: int, error: Exception | str) -> EmoNetError:
    """Make the error of a row group that can't be read from a row on."""
    reason = " ".join(str(error).split())
    return EmoNetError(
        f"{path.name}, row group {group}, from row {row + 1} on: can't be read ({reason}). "
        "Write the file again."
    )


def _state(path: Path) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns
