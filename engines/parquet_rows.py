"""Rows of a Parquet file in order, each decoded once: a row group can only be read from
its start.
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
DAMAGED = (
    pa.ArrowException,
    OSError,
    UnicodeDecodeError,
)  # what reading a Parquet file with flipped bytes raises
_here = threading.local()


def read_rows(path: Path, first: int, last: int) -> pa.Table:
    """The rows of a file from `first` to `last`, which is not included.

    The file stays open where they end, for the rows that follow; `close_rows` closes it.

    Raises:
        EmoNetError: for rows that can't be read.
    """
    rows = getattr(_here, "rows", None)
    if rows is None or not rows.leads_to(path, first):
        close_rows()
        rows = _Rows(path, first)
    _here.rows = None  # nobody knows where it stands after an error
    table = rows.read(first, last)
    _here.rows = rows
    return table


def close_rows() -> None:
    """Close the file that the last `read_rows` of this thread left open."""
    rows, _here.rows = getattr(_here, "rows", None), None
    if rows is not None:
        rows.close()


class _Rows:
    """A place in a file that moves forward. It holds some thousand rows, never a row
    group, which may have millions.
    """

    def __init__(self, path: Path, first: int):
        self.path = path
        self.state = _state(path)
        self.process = os.getpid()  # a fork does not go on with what its parent has open
        self.file = open_parquet(path)
        sizes = (self.file.metadata.row_group(group).num_rows for group in range(self.file.num_row_groups))
        self.starts = [0, *accumulate(sizes)]
        group = self._group_of(first)
        self.row = self.starts[group]
        self.batches = self._batches(group)
        self.left: pa.RecordBatch | None = None

    def leads_to(self, path: Path, first: int) -> bool:
        """Whether row `first` of that file, as it is now, comes next, or later in the
        same row group.
        """
        same = (self.path, self.state, self.process) == (path, _state(path), os.getpid())
        return same and (
            first == self.row or (first > self.row and self._group_of(first) == self._group_of(self.row))
        )

    def read(self, first: int, last: int) -> pa.Table:
        parts = []
        while self.row < last:
            batch = next(self.batches) if self.left is None else self.left
            taken = batch.slice(0, last - self.row)
            self.left = batch.slice(taken.num_rows) if taken.num_rows < batch.num_rows else None
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
        """The batches from a row group on."""
        for group in range(first, self.file.num_row_groups):
            row = self.starts[group]
            try:
                for batch in self.file.iter_batches(ROWS_AT_ONCE, row_groups=[group]):
                    yield batch
                    row += batch.num_rows
            except DAMAGED as error:
                raise unreadable(self.path, group, row, error) from error
            if row != self.starts[group + 1]:  # its columns are not of one length
                raise unreadable(
                    self.path, group, row, f"it says that it ends with row {self.starts[group + 1]}"
                )
        raise EmoNetError(f"{self.path.name} was changed while it was read: run the command again.")


def open_parquet(path: Path) -> pq.ParquetFile:
    """A file whose footer can be read.

    Raises:
        EmoNetError: for one that can't.
    """
    try:
        return pq.ParquetFile(path)
    except DAMAGED as error:
        raise EmoNetError(f"{path} is no readable Parquet file ({error}). Write it again.") from error


def unreadable(path: Path, group: int, row: int, error: Exception | str) -> EmoNetError:
    """The error of a row group that can't be read from a row on."""
    reason = " ".join(str(error).split())
    return EmoNetError(
        f"{path.name}, row group {group}, from row {row + 1} on: can't be read ({reason}). Write the file again."
    )


def _state(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
