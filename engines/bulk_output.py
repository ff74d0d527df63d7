"""The folder of a bulk prediction: one part a chunk, written whole or not at all, and a
manifest of what made them.
"""

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ..errors import EmoNetError
from ..files.guard import file_digest, read_json
from ..version import PACKAGE_VERSION
from .bulk_input import COLUMNS, Chunk, Plan, ids_digest

MANIFEST = "predictions.json"
LOCK = ".lock"  # what reads the folder passes over names with a dot
_PATIENCE = 5  # seconds; the workers of a killed run, which hold its lock too, take one to end
_TEMPORARY = ".writing"
_KEY = b"emonet"


class OutputFolder:
    """Where the parts go.

    Attributes:
        made_by: Digest of what decides a part's content besides its chunk; every part
            carries it.
    """

    def __init__(self, folder: str | Path, made_by: str):
        self.folder = Path(folder)
        self.made_by = made_by

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, no other run writes into the folder. The system gives the lock of a
        dead process back.

        Raises:
            EmoNetError: where another one is at work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout as error:
            raise EmoNetError(
                f"Another bulk prediction is writing to {self.folder}: wait for it, stop it, or take another --output."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def part(self, chunk: Chunk) -> Path:
        """A part's file; their names in order are the chunks in order."""
        return self.folder / f"part-{chunk.number:08d}.parquet"

    def is_finished(self, chunk: Chunk) -> bool:
        """Whether the chunk's part is there, whole, and made by this model from these
        rows.
        """
        path = self.part(chunk)
        if not path.is_file():
            return False
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowException, OSError):
            return False
        return metadata.num_rows == chunk.last - chunk.first and (metadata.metadata or {}).get(
            _KEY
        ) == self._stamp(chunk)

    def write(
        self, chunk: Chunk, rows: pa.Table, results: Sequence[dict[str, Any]], labels: Sequence[str]
    ) -> None:
        """The chunk's rows with `label`, `score` and `scores` (by label), under a
        temporary name first.

        Raises:
            EmoNetError: where the disk is full, or the number of results is not that of
                the rows.
        """
        if len(results) != rows.num_rows or ids_digest(rows) != chunk.ids:
            raise EmoNetError(
                f"Chunk {chunk.number}: {len(results)} results for {rows.num_rows} rows; nothing was written."
            )
        scores = pa.struct([(label, pa.float32()) for label in labels])
        table = rows.append_column("label", pa.array([row["label"] for row in results], pa.string()))
        table = table.append_column("score", pa.array([row["score"] for row in results], pa.float32()))
        table = table.append_column("scores", pa.array([row["scores"] for row in results], scores))
        path = self.part(chunk)

        def write(file: BinaryIO) -> None:
            try:
                pq.write_table(table.replace_schema_metadata({_KEY: self._stamp(chunk)}), file)
            except pa.ArrowException as error:  # an object without a field
                raise EmoNetError(
                    f"{chunk.path}: a column can't be written as Parquet ({error}). Take it out."
                ) from error

        _write_whole(path, write)

    def begin(self, facts: dict[str, Any]) -> None:
        """Take the folder for this run: new, or left by the same one.

        Raises:
            EmoNetError: for a folder of other predictions, with what differs.
        """
        path = self.folder / MANIFEST
        if path.is_file():
            found = read_json(path)
            differing = [name for name in facts if found.get(name) != facts[name]]
            if differing:
                raise EmoNetError(
                    f"{self.folder} holds predictions made otherwise ({', '.join(differing)} differ). "
                    "Take another --output, or delete the folder."
                )
        elif any(self.folder.glob("part-*.parquet")):
            raise EmoNetError(
                f"{self.folder} holds parts without {MANIFEST}: take another --output, or delete the folder."
            )
        for leftover in self.folder.glob(f"*{_TEMPORARY}"):
            leftover.unlink()
        self._write_manifest({**facts, "complete": False})

    def finish(self, facts: dict[str, Any], plan: Plan, now: dict[str, Any]) -> None:
        """Check that every row of the input is there once, in order, and say so in the
        manifest.

        Args:
            facts / now: `facts_of` before the first part and after the last.

        Raises:
            EmoNetError: naming a part that is missing or wrong, or what changed during
                the run, whose parts are then deleted.
        """
        changed = [*_changed(facts["model"], now["model"]), *_changed(facts["input"], now["input"])]
        if changed:  # nobody knows which parts were made before
            for chunk in plan.chunks:
                self.part(chunk).unlink(missing_ok=True)
            (self.folder / MANIFEST).unlink()
            raise EmoNetError(
                f"{', '.join(changed)} changed during the run, so its parts were deleted: run the command again."
            )
        wrong = [chunk for chunk in plan.chunks if not self.is_finished(chunk) or not self._ids_agree(chunk)]
        for chunk in wrong:  # so that the next run does not take it for finished
            self.part(chunk).unlink(missing_ok=True)
        if wrong:
            raise EmoNetError(f"{self.part(wrong[0])} was missing or not whole: run the same command again.")
        extra = len(list(self.folder.glob("part-*.parquet"))) - len(plan.chunks)
        if extra:
            raise EmoNetError(
                f"{self.folder} holds {extra} parts that no row of the input asks for: delete it and run again."
            )
        self._write_manifest({**facts, "rows": plan.rows, "parts": len(plan.chunks), "complete": True})

    def _ids_agree(self, chunk: Chunk) -> bool:
        try:
            return ids_digest(pq.read_table(self.part(chunk), columns=[COLUMNS[0]])) == chunk.ids
        except (pa.ArrowException, OSError):
            return False

    def _write_manifest(self, content: dict[str, Any]) -> None:
        text = (json.dumps(content, indent=2) + "\n").encode()
        _write_whole(self.folder / MANIFEST, lambda file: file.write(text))

    def _stamp(self, chunk: Chunk) -> bytes:
        return f"{self.made_by}:{chunk.ids}:{chunk.first}".encode()


def facts_of(checkpoint: Path, source: Path, files: Sequence[Path], turns: int) -> dict[str, Any]:
    """What a bulk prediction is made by: the model's files, the input's files, the
    version, and the size of chunks.
    """
    weights = sorted(
        path
        for path in checkpoint.iterdir()
        if path.suffix in (".json", ".safetensors", ".onnx", ".txt", ".model")
    )
    root = source if source.is_dir() else source.parent
    return {
        "emonet": PACKAGE_VERSION,
        "model": {path.name: file_digest(path) for path in weights if path.name not in _OF_THE_RUN},
        "input": {path.relative_to(root).as_posix(): file_digest(path) for path in files},
        "turns_a_part": turns,
    }


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name, and give it its own when it is on the disk."""
    # A worker that was thought dead may still write: each has a name of its own, and the
    # last rename wins with the same rows.
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
                f"No space is left for {path}. Free some and run the same command again: finished parts are kept."
            ) from error
        raise


# Files of a run folder that say what happened, not what the model computes.
_OF_THE_RUN = (
    "run.json",
    "metrics.json",
    "test_metrics.json",
    "validation_metrics.json",
    "trainer_state.json",
)
