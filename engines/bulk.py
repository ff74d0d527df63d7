"""Predict files of any size in resumable chunks, with bounded memory.

Every row is predicted once, in order. Every dialogue stands alone, whatever its chunk or
machine: the memory of its speakers holds their utterances in that dialogue only.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from ..errors import EmoNetError
from ..files.guard import read_json
from ..inference.predict import predict_dialogues
from .bulk_input import Chunk, Plan, input_files, plan_chunks, read_chunk
from .bulk_output import MANIFEST, OutputFolder, facts_of
from .load import load_engine
from .onnx_export import RECORD_FILE
from .parquet_rows import close_rows
from .process_watch import ending_with_parent

LESS_MEMORY = "Run again with a lower --batch-size, --turns-a-part or --workers; finished parts are kept."

Runner = Callable[["ChunkWork", Sequence[Chunk], int], Any]


class ChunkWork:
    """The work of a worker on a chunk.

    It is cheap to send to another process, which loads the model itself, once.
    """

    def __init__(self, checkpoint: str, output: OutputFolder, schema: pa.Schema, batch_size: int):
        self.checkpoint = checkpoint
        self.output = output
        self.schema = schema
        self.batch_size = batch_size

    def __call__(self, chunk: Chunk) -> int:
        """Predict and write a chunk's part; return its number of rows."""
        rows = read_chunk(chunk, self.schema)
        model, processor = _loaded(self.checkpoint, self.output.made_by)
        dialogues: list[list[dict[str, str]]] = []
        columns = (rows.column(name).to_pylist() for name in ("dialogue_id", "speaker", "text"))
        previous: Any = None
        for dialogue, speaker, text in zip(*columns, strict=True):
            if not dialogues or dialogue != previous:
                dialogues.append([])
                previous = dialogue
            dialogues[-1].append({"speaker": speaker, "text": text})
        no_histories: list[dict[str, list[str]]] = [{} for _ in dialogues]
        try:
            results = predict_dialogues(model, processor, dialogues, no_histories, self.batch_size)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            where = f"{Path(chunk.path).name}, rows {chunk.first + 1} to {chunk.last}"
            raise EmoNetError(f"{where}: out of memory. {LESS_MEMORY}") from error
        self.output.write(
            chunk, rows, [turn for turns in results for turn in turns], model.config.label_names
        )
        return int(rows.num_rows)


def predict_files(
    checkpoint: str | Path,
    source: str | Path,
    output: str | Path,
    *,
    runner: Runner | None = None,
    workers: int = 1,
    batch_size: int = 16,
    turns_a_part: int = 2000,
) -> dict[str, Any]:
    """Predict every turn of Parquet or JSONL files into a folder of Parquet parts.

    A row is a turn with `dialogue_id`, `speaker` and `text`, the turns of a dialogue
    together and in order; other columns are passed through. After a kill or a full disk,
    the same call makes the missing parts.

    Memory: the rows of a part per worker, and about 100 bytes per dialogue of the whole
    input for the check that no dialogue comes twice.

    Args:
        checkpoint: A run folder, or a folder of `emonet export`.
        source: A .parquet or .jsonl file, or a folder of them.
        output: The folder for `part-*.parquet` and `predictions.json`.
        runner: Distributes chunks to workers: `run_with_datasets` (default) or
            `ray_engine.run_with_ray`.
        workers: Processes, each with its own model.
        batch_size: Dialogues per forward pass.
        turns_a_part: Least rows of a part, which a worker holds in memory.

    Returns:
        The content of `predictions.json`.

    Raises:
        EmoNetError: for input that can't be read, an output folder of other predictions
            or of a running one, and files that change during the run.
    """
    checkpoint = Path(checkpoint)
    if not checkpoint.is_dir():
        raise EmoNetError(
            f"{checkpoint} is not a folder: bulk prediction needs a model on this machine. Download it first."
        )
    if min(workers, batch_size, turns_a_part) < 1:
        raise EmoNetError(
            f"workers={workers}, batch_size={batch_size}, turns_a_part={turns_a_part}: "
            "each must be at least 1."
        )
    files = input_files(source)
    facts = facts_of(checkpoint, Path(source), files, turns_a_part)
    folder = OutputFolder(
        Path(output).absolute(), hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    )
    plan: Plan = plan_chunks(files, turns_a_part)
    _check_names(plan.schema)
    with folder.locked():
        folder.begin(facts)
        missing = [chunk for chunk in plan.chunks if not folder.is_finished(chunk)]
        work = ChunkWork(str(checkpoint.absolute()), folder, plan.schema, batch_size)
        try:
            if missing:
                (runner or run_with_datasets)(work, missing, workers)
        finally:
            close_rows()
        folder.finish(facts, plan, facts_of(checkpoint, Path(source), files, turns_a_part))
        manifest: dict[str, Any] = read_json(folder.folder / MANIFEST)
        return manifest


def run_with_datasets(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """Run the chunks on this machine: `Dataset.map` in `workers` processes.

    Raises:
        EmoNetError: for a process that died.
    """
    from datasets import Dataset

    indices = Dataset.from_dict({"index": list(range(len(chunks)))})
    processes = None if workers == 1 else min(workers, len(chunks))
    arguments = {"work": work, "chunks": list(chunks), "forked": processes is not None}
    try:
        with ending_with_parent():
            indices.map(
                _run_chunk, fn_kwargs=arguments, num_proc=processes, desc="parts", load_from_cache_file=False
            )
    except RuntimeError as error:
        if "abruptly died" not in str(error):
            raise
        raise EmoNetError(f"A worker process died, most likely out of memory. {LESS_MEMORY}") from error


def _run_chunk(row: dict[str, int], work: ChunkWork, chunks: Sequence[Chunk], forked: bool) -> dict[str, int]:
    if forked:  # it would hang in the thread pool of its parent
        torch.set_num_threads(1)
    return {"rows": work(chunks[row["index"]])}


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; PyTorch's CPU allocator has no error class for it."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _check_names(schema: pa.Schema) -> None:
    taken = [name for name in ("label", "score", "scores") if name in schema.names]
    if taken:
        raise EmoNetError(
            f"The input has a column {taken[0]!r}, which the predictions are written to: rename it."
        )


@lru_cache(maxsize=1)
def _loaded(checkpoint: str, made_by: str) -> tuple[Any, Any]:
    """Load the model once per process; `made_by` changes with its files."""
    return load_engine(checkpoint, "onnx" if (Path(checkpoint) / RECORD_FILE).is_file() else "torch")
