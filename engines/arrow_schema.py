"""Find the Arrow types of rows, and those of the columns of a prediction."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..errors import EmoNetError

ROWS_AT_ONCE = 4096
# Errors of Arrow for mixed types, huge numbers and lone surrogates.
NOT_FOR_ARROW = (pa.ArrowException, OverflowError, TypeError, ValueError)


def schema_of(records: Sequence[Mapping[str, Any]], location: str) -> pa.Schema:
    """Find the types of some rows.

    Raises:
        EmoNetError: for a column with values of several types.
    """
    names = dict.fromkeys(name for record in records for name in record)
    try:
        return pa.Table.from_pylist([{name: record.get(name) for name in names} for record in records]).schema
    except NOT_FOR_ARROW as error:
        raise EmoNetError(
            f"{location}: a column has values of several types ({error}). Give a column one type."
        ) from error


def unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Join the types of the parts of an input.

    Raises:
        EmoNetError: for a column with values of several types.
    """
    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise EmoNetError(
            f"The input's columns don't go together: {error}. Give a column one type in all files."
        ) from error


def prediction_fields(labels: Sequence[str], prefix: str = "", has_source: bool = False) -> list[pa.Field]:
    """The columns that follow those of the input; `source` with known emotions."""
    scores = pa.struct([(label, pa.float32()) for label in labels])
    types = {"label": pa.string(), "score": pa.float32(), "scores": scores}
    if has_source:
        types["source"] = pa.string()
    return [pa.field(f"{prefix}{name}", type_) for name, type_ in types.items()]


class SchemaFinder:
    """Find the types of rows that come one after another."""

    def __init__(self) -> None:
        self._records: list[Mapping[str, Any]] = []
        self._schema: pa.Schema | None = None

    def add(self, location: str, record: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            EmoNetError: for a column with values of several types.
        """
        self._records.append(record)
        if len(self._records) == ROWS_AT_ONCE:
            self._join(location)

    def found(self) -> pa.Schema:
        """The types of all columns; those without a value are text.

        Raises:
            EmoNetError: for a column with values of several types.
        """
        self._join("the last rows")
        fields = self._schema or pa.schema([])
        return pa.schema(
            [field if field.type != pa.null() else pa.field(field.name, pa.string()) for field in fields]
        )

    def _join(self, location: str) -> None:
        if self._records:
            found = schema_of(self._records, f"rows up to {location}")
            self._schema = found if self._schema is None else unified([self._schema, found])
            self._records = []
