"""Write the folder of a bulk prediction: a part per chunk, and a manifest."""

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ..constants import PACKAGE_VERSION
from ..errors import EmoNetError
from ..files.guard import file_digest, read_json
from ..inference.unknown_characters import unknown_characters_note
from .arrow_schema import prediction_fields
from .bulk_input import Chunk, Plan, id_columns, ids_digest

MANIFEST = "predictions.json"
COPIES = ".input"
LOCK = ".lock"  # readers of the folder skip names with a dot
_PATIENCE = 5  # seconds; the workers of a killed run hold its lock for up to one
_TEMPORARY = ".writing"
_KEY = b"emonet"
_CHARACTERS = b"emonet.characters"
# Files of a run folder that describe the training; the model's predictions do not depend
# on them.
_RUN_FILES = (
    "run.json",
    "metrics.json",
    "test_metrics.json",
    "validation_metrics.json",
    "trainer_state.json",
)


class OutputFolder:
    """The folder of the parts.

    Attributes:
        folder: Its path.
        made_by: The digest of everything that determines a part apart from its chunk;
            every part carries it.
        prefix: What the names of the columns that are added begin with.
    """

    def __init__(self, folder: str | Path, made_by: str, prefix: str = ""):
        self.folder = Path(folder)
        self.made_by = made_by
        self.prefix = prefix

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs; a dead process loses its lock.

        Raises:
            EmoNetError: while another run holds the lock.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout as error:
            raise EmoNetError(
                f"Another bulk prediction is writing to {self.folder}: "
                "wait for it, stop it, or choose another --output."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def part(self, chunk: Chunk) -> Path:
        """Get the file of a part; the order of names is the order of chunks."""
        return self.folder / f"part-{chunk.index:08d}.parquet"

    def is_finished(self, chunk: Chunk) -> bool:
        """Whether the part is complete, and made by this model from these rows."""
        path = self.part(chunk)
        if not path.is_file():
            return False
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowException, OSError):
            return False
        stamp = (metadata.metadata or {}).get(_KEY)
        return bool(metadata.num_rows == chunk.last - chunk.first and stamp == self._stamp(chunk))

    def write(
        self,
        chunk: Chunk,
        rows: pa.Table,
        results: Sequence[dict[str, Any]],
        labels: Sequence[str],
        characters: tuple[int, int, str] = (0, 0, ""),
    ) -> None:
        """Write the chunk's rows with `row`, `label`, `score` and `scores` (by label).

        Args:
            chunk: The chunk.
            rows: Its rows.
            results: The prediction of every row, and its `turn` in the dialogue.
            labels: The names of the classes.
            characters: How many the vocabulary lacks, of how many, and what they become.

        Raises:
            EmoNetError: for a full disk, a column that Parquet can't hold, or another
                number of results than rows.
        """
        if len(results) != rows.num_rows or ids_digest(rows, chunk) != chunk.ids:
            raise EmoNetError(
                f"Chunk {chunk.index}: {len(results)} results for {rows.num_rows} rows; nothing was written."
            )
        # The same columns in the same order as in every other output.
        table = rows
        if not self.has_turns(chunk, rows.column_names):
            table = table.add_column(0, "turn", pa.array([row["turn"] for row in results], pa.int64()))
        indices = range(chunk.start, chunk.start + len(results))
        table = table.add_column(0, f"{self.prefix}row", pa.array(indices, pa.int64()))
        has_source = any("source" in row for row in results)
        for field in prediction_fields(labels, self.prefix, has_source):
            values = [row[field.name.removeprefix(self.prefix)] for row in results]
            table = table.append_column(field.name, pa.array(values, field.type))
        path = self.part(chunk)
        metadata = {_KEY: self._stamp(chunk), _CHARACTERS: json.dumps(characters).encode()}

        def write(file: BinaryIO) -> None:
            try:
                pq.write_table(table.replace_schema_metadata(metadata), file)
            except pa.ArrowException as error:  # for example an object without a field
                raise EmoNetError(
                    f"{chunk.path}: a column can't be written as Parquet ({error}). Delete it."
                ) from error

        _write_whole(path, write)

    def unknown_characters(self, plan: Plan) -> str:
        """Say how many characters of all parts the vocabulary lacks, if they are many."""
        stored = [pq.read_schema(self.part(chunk)).metadata.get(_CHARACTERS) for chunk in plan.chunks]
        counts = [json.loads(value) for value in stored if value]
        tokens = [token for *_, token in counts if token]
        lost, total = (sum(row[index] for row in counts) for index in (0, 1))
        return unknown_characters_note(lost, total, next(iter(tokens), ""))

    @staticmethod
    def has_turns(chunk: Chunk, columns: Sequence[str]) -> bool:
        """Whether the input numbers its turns."""
        return dict(chunk.fields).get("turn", "turn") in columns

    def begin(self, facts: dict[str, Any]) -> None:
        """Prepare the folder for this run: a new one, or one left by the same run.

        Args:
            facts: See [`facts_of`].

        Raises:
            EmoNetError: for a folder of other predictions, with what differs.
        """
        path = self.folder / MANIFEST
        if path.is_file():
            found = {"dtype": "float32", **read_json(path)}  # the only one before it was kept
            differing = [name for name in facts if found.get(name) != facts[name]]
            if differing:
                raise EmoNetError(
                    f"{self.folder} holds other predictions ({', '.join(differing)} differ). "
                    "Choose another --output, or delete the folder."
                )
        elif any(self.folder.glob("part-*.parquet")):
            raise EmoNetError(
                f"{self.folder} holds parts without {MANIFEST}: "
                "choose another --output, or delete the folder."
            )
        for leftover in self.folder.glob(f"*{_TEMPORARY}"):
            leftover.unlink()
        self._write_manifest({**facts, "complete": False})

    def finish(self, facts: dict[str, Any], plan: Plan, now: dict[str, Any]) -> None:
        """Check that every row is there once, in order, and complete the manifest.

        Args:
            facts: `facts_of` before the first part.
            plan: All chunks.
            now: `facts_of` after the last part.

        Raises:
            EmoNetError: for a missing or wrong part, or files that changed during the
                run; all its parts are then deleted.
        """
        changed = [*_changed(facts["model"], now["model"]), *_changed(facts["input"], now["input"])]
        if changed:  # it is unknown which parts were made before
            for chunk in plan.chunks:
                self.part(chunk).unlink(missing_ok=True)
            (self.folder / MANIFEST).unlink()
            raise EmoNetError(
                f"{', '.join(changed)} changed during the run, so its parts were deleted: "
                "run the command again."
            )
        wrong = [chunk for chunk in plan.chunks if not self.is_finished(chunk) or not self._ids_agree(chunk)]
        for chunk in wrong:  # the next run would take it for finished
            self.part(chunk).unlink(missing_ok=True)
        if wrong:
            raise EmoNetError(f"{self.part(wrong[0])} was missing or incomplete: run the same command again.")
        extra = len(list(self.folder.glob("part-*.parquet"))) - len(plan.chunks)
        if extra:
            raise EmoNetError(
                f"{self.folder} holds {extra} parts more than the input: delete the folder and run again."
            )
        self._write_manifest({**facts, "rows": plan.rows, "parts": len(plan.chunks), "complete": True})

    def _ids_agree(self, chunk: Chunk) -> bool:
        try:
            columns = id_columns(chunk, pq.read_schema(self.part(chunk)).names)
            return ids_digest(pq.read_table(self.part(chunk), columns=columns), chunk) == chunk.ids
        except (pa.ArrowException, OSError):
            return False

    def _write_manifest(self, content: dict[str, Any]) -> None:
        text = (json.dumps(content, indent=2) + "\n").encode()
        _write_whole(self.folder / MANIFEST, lambda file: file.write(text))

    def _stamp(self, chunk: Chunk) -> bytes:
        return f"{self.made_by}:{chunk.ids}:{chunk.first}".encode()


def facts_of(
    checkpoint: Path, source: Path, files: Sequence[Path], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Collect everything that determines a bulk prediction.

    Args:
        checkpoint: The model's folder.
        source: The input.
        files: The files of the input.
        options: The options that parts depend on.

    Returns:
        The version, digests of the model's and the input's files, and the options.
    """
    model_files = sorted(
        path
        for path in checkpoint.iterdir()
        if path.suffix in (".json", ".safetensors", ".onnx", ".txt", ".model")
    )
    root = source if source.is_dir() else source.parent
    return {
        "emonet": PACKAGE_VERSION,
        "model": {path.name: file_digest(path) for path in model_files if path.name not in _RUN_FILES},
        "input": {path.relative_to(root).as_posix(): file_digest(path) for path in files},
        **options,
    }


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name, and rename it when it is on the disk."""
    # A worker that was taken for dead may still write: every writer has its own temporary
    # name, and the last rename wins with the same rows.
    temporary = path.with_suffix(f".{uuid.uuid4().hex}{_TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except EmoNetError:
        temporary.unlink(missing_ok=True)
        raise
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EmoNetError(
                f"No space is left for {path}. Free some and run the same command again: "
                "finished parts are kept."
            ) from error
        raise
