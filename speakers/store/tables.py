"""Open the tables of a speaker store in LanceDB, for many readers and one writer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from ...errors import EmoNetError
from ...files.guard import parse_json

UTTERANCES, SPEAKERS, BIOGRAPHIES, FACTS = "utterances", "speakers", "biographies", "facts"
LAYOUT = 1  # version of the tables; stores of another version are refused


def schemas(vector_size: int) -> dict[str, pa.Schema]:
    """Return the columns of each table.

    `emotion` and `emotions` come from training labels; `position` orders the corpus in
    time.
    """
    text, integer = pa.string(), pa.int64()
    utterances = {
        "key": text,
        "digest": text,
        "position": integer,
        "split": text,
        "dialogue_id": text,
        "turn": pa.int32(),
        "speaker": text,
        "name": text,
        "text": text,
        "emotion": text,
        "embedding": pa.list_(pa.float32(), vector_size),
    }
    speakers = {
        "speaker": text,
        "name": text,
        "is_person": pa.bool_(),
        "utterances": integer,
        "training_utterances": integer,
        "dialogues": integer,
        "emotions": pa.list_(integer),
    }
    biographies = {
        "key": text,
        "speaker": text,
        "kind": text,
        "model": text,
        "prompt_digest": text,
        "split": text,
        "before": integer,
        "anonymous": pa.bool_(),
        "text": text,
        "utterances": pa.list_(text),
    }
    return {
        UTTERANCES: pa.schema(utterances),
        SPEAKERS: pa.schema(speakers),
        BIOGRAPHIES: pa.schema(biographies),
        FACTS: pa.schema({"document": text}),
    }


class StoreTables:
    """A connection to a store's tables.

    Args:
        uri: A folder, or an object store's address (`s3://bucket/speakers`).
    """

    def __init__(self, uri: str | Path):
        self.uri = str(uri)
        self.folder = Path(self.uri).expanduser() if "://" not in self.uri else None
        if self.folder is not None:
            self.uri = str(self.folder)
        with self.plain_errors():
            self.connection = _lancedb().connect(self.uri)

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Turn LanceDB's errors into an EmoNetError that names store and remedy."""
        try:
            yield
        except EmoNetError:
            raise
        except (RuntimeError, OSError, ValueError) as error:
            gone = self.folder is not None and not self.folder.is_dir()
            what = "was deleted or moved while it was in use" if gone else "could not be read or written"
            raise EmoNetError(
                f"{self.uri}: the speaker store {what} ({' '.join(str(error).split())[:300]}). "
                "Restore it, or build it again: emonet speakers build."
            ) from error

    @contextmanager
    def writing(self, wait: float = 10.0) -> Iterator[None]:
        """Keep other processes from writing to the store, not from reading it.

        An object store has no lock, but its commits are atomic.

        Args:
            wait: How many seconds to wait for another writer.

        Raises:
            EmoNetError: If another process is still writing after that.
        """
        if self.folder is None:
            yield
            return
        lock = FileLock(self.folder / ".lock")
        with self.plain_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=wait)
            except Timeout as error:
                busy = "another process is writing to the speaker store; try again when it is done."
                raise EmoNetError(f"{self.uri}: {busy}") from error
        try:
            yield
        finally:
            lock.release()

    def names(self) -> list[str]:
        """Return the existing tables; one whose first commit was interrupted is none."""
        with self.plain_errors():
            return [name for name in self.connection.list_tables().tables if self._was_committed(name)]

    def _was_committed(self, name: str) -> bool:
        return self.folder is None or any((self.folder / f"{name}.lance" / "_versions").glob("*.manifest"))

    def open(self, name: str) -> Any:
        """Open a table at its latest version."""
        with self.plain_errors():
            return self.connection.open_table(name)

    def replace(self, name: str, rows: Any, schema: pa.Schema) -> Any:
        """Write a table's content in one commit: readers see the old or the new one.

        Args:
            name: The table.
            rows: A list of dicts, or Arrow data, which may come from the table itself.
            schema: Its columns.
        """
        with self.plain_errors():
            data = pa.Table.from_pylist(rows, schema) if isinstance(rows, list) else rows
            # Overwriting a table that does not exist would warn.
            mode = "overwrite" if name in self.names() else "create"
            return self.connection.create_table(name, data=data, schema=schema, mode=mode)

    def facts(self) -> dict[str, Any]:
        """Return the facts about the store: embedder, corpus version, labels, state.

        Raises:
            EmoNetError: If there is no store, or one of another layout.
        """
        if FACTS not in self.names():
            raise EmoNetError(
                f"{self.uri}: no speaker store; make it: "
                f"emonet speakers build --store {self.uri} --dataset ..."
            )
        with self.plain_errors():
            facts: dict[str, Any] = parse_json(self.open(FACTS).to_arrow()["document"][0].as_py())
        if facts.get("layout") != LAYOUT:
            raise EmoNetError(
                f"{self.uri}: a store of layout {facts.get('layout')}, but this emonet reads {LAYOUT}; "
                "build it again."
            )
        return facts

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Replace the facts about the store."""
        document = json.dumps({"layout": LAYOUT, **facts}, ensure_ascii=False)
        self.replace(FACTS, [{"document": document}], schemas(1)[FACTS])


def rows_where(
    table: Any, condition: str | None = None, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a table that meet a SQL condition."""
    query = table.search()
    if condition:
        query = query.where(condition)
    if columns:
        query = query.select(list(columns))
    rows: list[dict[str, Any]] = query.to_list()
    return rows


def quoted(value: str) -> str:
    """Return a string as a SQL literal."""
    # No stored text holds a NUL or half a character: what replaces them matches nothing.
    return "'" + value.encode("utf-8", "replace").decode().replace("\0", "\ufffd").replace("'", "''") + "'"


def any_of(column: str, values: Sequence[str]) -> str:
    """Return the SQL condition that `column` is one of `values`."""
    return f"{column} IN ({', '.join(map(quoted, values))})"


def _lancedb() -> Any:
    try:
        import lancedb
    except ModuleNotFoundError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[lm]'.") from error
    return lancedb
