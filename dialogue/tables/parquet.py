"""Read the rows of a Parquet file in batches."""

import datetime
import decimal
from collections.abc import Callable, Generator
from typing import Any, BinaryIO

from ...errors import DataFormatError

try:
    import pyarrow
    import pyarrow.parquet
except ImportError:  # where a checkpoint is used without emonet
    pyarrow = None

_ROWS_AT_ONCE = 1024
_BUFFER = 1 << 20  # bytes; without it a whole column of a row group is read at once


class ParquetRows:
    """The rows of a Parquet file.

    Attributes:
        columns: The columns.
        notes: Always empty.
        header_line: Always 1.
    """

    header_line = 1

    def __init__(self, open_file: Callable[[], BinaryIO], name: str):
        """Read the schema.

        Raises:
            DataFormatError: for a file that is no Parquet file.
            ImportError: without pyarrow.
        """
        if pyarrow is None:
            raise ImportError(f"{name}: Parquet files need pyarrow: pip install pyarrow")
        self.open_file, self.name, self.notes = open_file, name, list[str]()
        with open_file() as source, self._opened(source) as file:
            self.columns = [str(column) for column in file.schema_arrow.names]
        repeated = {column for column in self.columns if self.columns.count(column) > 1}
        if repeated:
            raise DataFormatError(
                f"{name}: column {', '.join(sorted(repeated))} appears twice; rename one of them."
            )

    def rows(self) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """Yield (row from 1, row) pairs, with values that JSON can hold.

        Raises:
            DataFormatError: for rows that cannot be read, with the first one.
        """
        number = 0
        with self.open_file() as source, self._opened(source) as file:
            try:
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, {str(column): _value(value) for column, value in row.items()}
            except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
                raise DataFormatError(
                    f"{self.name}, from row {number + 1} on: cannot read Parquet ({_reason(error)}); write "
                    "the file again."
                ) from error
            if number != file.metadata.num_rows:
                raise DataFormatError(
                    f"{self.name}: {number} rows, but its metadata says {file.metadata.num_rows}; write the "
                    "file again."
                )

    def _opened(self, source: BinaryIO) -> Any:
        try:
            return pyarrow.parquet.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataFormatError(
                f"{self.name}: cannot read Parquet file ({_reason(error)}); write it again."
            ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _value(value: Any) -> Any:
    if isinstance(
        value, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)
    ):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value
