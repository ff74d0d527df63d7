"""Predictions for files of any size: chunk by chunk, in bounded memory, each row once and
in order, resumable.

Every dialogue stands alone, whatever chunk or machine it falls on: its speakers' memory
is what they said in it.
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
from .process_watch import ending_with_us

LESS_MEMORY = "Run again with a lower --batch-size, --turns-a-part or --workers; finished parts are kept."

Runner = Callable[["ChunkWork", Sequence[Chunk], int], Any]


class ChunkWork:
    """What a worker does with a chunk. Light to send to another process: the model is
    loaded there, once.
    """

    def __init__(self, checkpoint: str, output: OutputFolder, schema: pa.Schema, batch_size: int):
        self.checkpoint = checkpoint
        self.output = output
        self.schema = schema
        self.batch_size = batch_size

    def __call__(self, chunk: Chunk) -> int:
        """Predict and write a chunk's part; returns the number of its rows."""
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
        alone: list[dict[str, list[str]]] = [{} for _ in dialogues]
        try:
            results = predict_dialogues(model, processor, dialogues, alone, self.batch_size)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            where = f"{Path(chunk.path).name}, rows {chunk.first + 1} to {chunk.last}"
            raise EmoNetError(f"{where}: out of memory. {LESS_MEMORY}") from error
        self.output.write(
            chunk, rows, [turn for turns in results for turn in turns], model.config.label_names
        )
        return rows.num_rows


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
    together and in order; other columns are passed through. Run again after a kill or a
    full disk, it goes on with the parts that are missing.

    Args:
        checkpoint: A run folder, or one of `emonet export`.
        source: A .parquet or .jsonl file, or a folder of them.
        output: The folder for `part-*.parquet` and `predictions.json`.
        runner: What hands chunks to workers: `run_with_datasets` (default) or
            `ray_engine.run_with_ray`.
        workers: Processes, each with a model of its own.
        batch_size: Dialogues a forward pass. turns_a_part: Least rows of a part, which is
            one worker's unit of work and memory.

    Returns:
        What `predictions.json` says.

    Memory: a part's rows a worker, and about 100 bytes a dialogue of the whole input for
    the check that no dialogue comes twice.

    Raises:
        EmoNetError: for input that can't be read, an output folder of other predictions
            or one that another run writes to, and files that change meanwhile.
    """
    checkpoint = Path(checkpoint)
    if not checkpoint.is_dir():
        raise EmoNetError(f"{checkpoint} is no folder: bulk prediction needs a model on this machine.")
    if min(workers, batch_size, turns_a_part) < 1:
        raise EmoNetError("workers, batch_size and turns_a_part must be at least 1.")
    files = input_files(source)
    facts = facts_of(checkpoint, Path(source), files, turns_a_part)
    folder = OutputFolder(
        Path(output).absolute(), hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    )
    plan: Plan = plan_chunks(files, turns_a_part)
    _check_names(plan.schema)
    with folder.alone():
        folder.begin(facts)
        left = [chunk for chunk in plan.chunks if not folder.is_finished(chunk)]
        work = ChunkWork(str(checkpoint.absolute()), folder, plan.schema, batch_size)
        try:
            if left:
                (runner or run_with_datasets)(work, left, workers)
        finally:
            close_rows()
        folder.finish(facts, plan, facts_of(checkpoint, Path(source), files, turns_a_part))
        return read_json(folder.folder / MANIFEST)


def run_with_datasets(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """On one machine: `Dataset.map` over the chunks, in `workers` processes.

    Raises:
        EmoNetError: where a process died.
    """
    from datasets import Dataset

    places = Dataset.from_dict({"place": list(range(len(chunks)))})
    processes = None if workers == 1 else min(workers, len(chunks))
    given = {"work": work, "chunks": list(chunks), "alone": processes is None}
    try:
        with ending_with_us():
            places.map(
                _of_place, fn_kwargs=given, num_proc=processes, desc="parts", load_from_cache_file=False
            )
    except RuntimeError as error:
        if "abruptly died" not in str(error):
            raise
        raise EmoNetError(f"A worker process died, most likely out of memory. {LESS_MEMORY}") from error


def _of_place(row: dict[str, int], work: ChunkWork, chunks: Sequence[Chunk], alone: bool) -> dict[str, int]:
    if not alone:  # a forked process hangs in the thread pool that its parent used
        torch.set_num_threads(1)
    return {"rows": work(chunks[row["place"]])}


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch's allocator on a CPU has no class of its own for it."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _check_names(schema: pa.Schema) -> None:
    taken = [name for name in ("label", "score", "scores") if name in schema.names]
    if taken:
        raise EmoNetError(
            f"The input has a column {taken[0]!r}, which the predictions are written to: rename it."
        )


@lru_cache(maxsize=1)
def _loaded(checkpoint: str, made_by: str) -> tuple[Any, Any]:
    """The model, once a process; `made_by` changes with its files."""
    return load_engine(checkpoint, "onnx" if (Path(checkpoint) / RECORD_FILE).is_file() else "torch")
