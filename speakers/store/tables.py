"""The tables of a speaker store in LanceDB: their columns, one connection, one writer at
a time, errors in plain words.
"""

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
LAYOUT = 1  # of the tables; another one is refused


def schemas(vector_size: int) -> dict[str, pa.Schema]:
    """Columns of each table. `emotion` and `emotions` come from training labels;
    `position` is the place in time.
    """
    text, number, keys = pa.string(), pa.int64(), pa.list_(pa.string())
    return {
        UTTERANCES: pa.schema(
            {"key": text, "digest": text, "position": number, "split": text, "dialogue_id": text, "turn": pa.int32(),
             "speaker": text, "name": text, "text": text, "emotion": text, "embedding": pa.list_(pa.float32(), vector_size)}
        ),
        SPEAKERS: pa.schema(
            {"speaker": text, "name": text, "is_person": pa.bool_(), "utterances": number, "training_utterances": number,
             "dialogues": number, "emotions": pa.list_(number)}
        ),
        BIOGRAPHIES: pa.schema(
            {"key": text, "speaker": text, "kind": text, "model": text, "prompt_digest": text, "split": text, "before": number,
             "anonymous": pa.bool_(), "text": text, "utterances": keys}
        ),
        FACTS: pa.schema({"document": text}),
    }  # fmt: skip


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
        """Within, what LanceDB raises becomes an EmoNetError that names the store and
        what to do.
        """
        try:
            yield
        except EmoNetError:
            raise
        except (RuntimeError, OSError, ValueError) as error:
            gone = self.folder is not None and not self.folder.is_dir()
            what = "was deleted or moved while it was in use" if gone else "could not be read or written"
            raise EmoNetError(
                f"{self.uri}: the speaker store {what} ({' '.join(str(error).split())[:300]}). Bring it back, or build it anew: "
                "emonet speakers build."
            ) from error

    @contextmanager
    def writing(self, wait: float = 10.0) -> Iterator[None]:
        """Within, no other process writes to the store; readers go on. An object store
        has no lock, but its commits are atomic.

        Raises:
            EmoNetError: where another process goes on writing for `wait` seconds.
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
        """The tables that exist. What a kill or a full disk left of a table's first
        commit is none.
        """
        with self.plain_errors():
            return [name for name in self.connection.list_tables().tables if self._was_committed(name)]

    def _was_committed(self, name: str) -> bool:
        return self.folder is None or any((self.folder / f"{name}.lance" / "_versions").glob("*.manifest"))

    def open(self, name: str) -> Any:
        """A table, at its latest version."""
        with self.plain_errors():
            return self.connection.open_table(name)

    def replace(self, name: str, rows: Any, schema: pa.Schema) -> Any:
        """Write a table's whole content, in one commit: readers see the old one or the
        new one. `rows` may come from it.
        """
        with self.plain_errors():
            data = pa.Table.from_pylist(rows, schema) if isinstance(rows, list) else rows
            mode = (
                "overwrite" if name in self.names() else "create"
            )  # the former warns of a table that is not there
            return self.connection.create_table(name, data=data, schema=schema, mode=mode)

    def facts(self) -> dict[str, Any]:
        """What the store says about itself.

        Raises:
            EmoNetError: where there is no store, or one of another layout.
        """
        if FACTS not in self.names():
            raise EmoNetError(
                f"{self.uri}: no speaker store; make it: emonet speakers build --store {self.uri} --dataset ..."
            )
        with self.plain_errors():
            facts = parse_json(self.open(FACTS).to_arrow()["document"][0].as_py())
        if facts.get("layout") != LAYOUT:
            raise EmoNetError(
                f"{self.uri}: a store of layout {facts.get('layout')}, this emonet reads {LAYOUT}; build it anew."
            )
        return facts

    def write_facts(self, facts: dict[str, Any]) -> None:
        document = json.dumps({"layout": LAYOUT, **facts}, ensure_ascii=False)
        self.replace(FACTS, [{"document": document}], schemas(1)[FACTS])


def rows_where(
    table: Any, condition: str | None = None, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Rows of a table that meet a SQL condition."""
    query = table.search()
    if condition:
        query = query.where(condition)
    if columns:
        query = query.select(list(columns))
    return query.to_list()


def quoted(value: str) -> str:
    """A string as SQL writes it; what no stored text holds, a NUL or half a character,
    matches nothing.
    """
    return "'" + value.encode("utf-8", "replace").decode().replace("\0", "\ufffd").replace("'", "''") + "'"


def any_of(column: str, values: Sequence[str]) -> str:
    """The SQL condition that `column` is one of `values`."""
    return f"{column} IN ({', '.join(map(quoted, values))})"


def _lancedb() -> Any:
    try:
        import lancedb
    except ModuleNotFoundError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[lm]'.") from error
    return lancedb
