"""Predict files of any size in resumable chunks, with bounded memory.

Every row is predicted once, in order, and scored as if one process read all rows in
order: a chunk is given what its persons said before it.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from ..constants import AUTO
from ..dialogue.names import Speakers, speaker_kinds
from ..dialogue.turns import clean_text
from ..errors import EmoNetError
from ..files.guard import read_json
from ..inference.stream import predict_stream
from ..inference.unknown_characters import UnknownCharacters
from ..pretrained.models import built_in_path
from .auto_dtype import resolved_dtype
from .bulk_input import Chunk, Plan, input_files, plan_chunks, read_chunk, turns_of
from .bulk_memory import STARTS, Starts, find_starts
from .bulk_output import COPIES, MANIFEST, OutputFolder, facts_of
from .bulk_tables import copies_in, is_direct
from .load import load_engine
from .onnx_export import RECORD_FILE
from .parquet_rows import close_rows
from .precision import computing_in, refuse_for_graph
from .prediction_input import KnownEmotions
from .process_watch import ending_with_parent
from .row_writers import check_columns

LESS_MEMORY = "Run again with a lower --batch-size, --turns-a-part or --workers; finished parts are kept."

_FIRST_LOOK = 256  # turns: the rest of a part is tokenized meanwhile
Runner = Callable[["ChunkWork", Sequence[Chunk], int], Any]


class ChunkWork:
    """The work of a worker on a chunk.

    It is cheap to send to another process, which loads the model itself, once.
    """

    def __init__(
        self,
        checkpoint: str,
        output: OutputFolder,
        schema: pa.Schema,
        batch_size: int,
        starts: Starts,
        dtype: str,
        use_later_labels: bool = False,
        has_known: bool = False,
    ):
        self.checkpoint = checkpoint
        self.output = output
        self.schema = schema
        self.batch_size = batch_size
        self.starts = starts
        self.dtype = dtype
        self.use_later_labels = use_later_labels
        self.has_known = has_known

    def __call__(self, chunk: Chunk) -> int:
        """Predict and write a chunk's part; return its number of rows."""
        rows = read_chunk(chunk, self.schema)
        model, processor = _loaded(self.checkpoint, self.output.made_by, self.dtype)
        start = self.starts.read(chunk)
        characters = UnknownCharacters(processor.tokenizer)
        indices, dialogues, known = [], [], KnownEmotions()
        for rows_of_dialogue, turns in turns_of(chunk, rows):
            indices.append(rows_of_dialogue)
            for row, turn in zip(rows_of_dialogue, turns, strict=True):
                characters.add(clean_text(turn["text"]))
                known.add(turn, f"{Path(chunk.path).name}, row {chunk.first + row + 1}")
            names = (start.names.get(turn["speaker"], turn["speaker"]) for turn in turns)
            dialogues.append([{**turn, "speaker": name} for turn, name in zip(turns, names, strict=True)])
        known.check(processor.config)
        try:
            blocks = predict_stream(
                model,
                processor,
                dialogues,
                self.batch_size,
                speakers=self.starts.kinds,
                history=start.history,
                first_look=_FIRST_LOOK,
                use_later_labels=self.use_later_labels,
                has_known=self.has_known,
            )
            results = [result for block in blocks for result in block]
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            where = f"{Path(chunk.path).name}, rows {chunk.first + 1} to {chunk.last}"
            raise EmoNetError(f"{where}: out of memory. {LESS_MEMORY}") from error
        predictions: list[dict[str, Any]] = [{}] * rows.num_rows
        order = [(row, index) for group in indices for index, row in enumerate(group)]
        for (row, index), result in zip(order, results, strict=True):
            predictions[row] = {"turn": index, **result}
        counts = (*characters.counts(), str(processor.tokenizer.unk_token))
        self.output.write(chunk, rows, predictions, model.config.label_names, counts)
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
    prefix: str = "",
    interleaved: bool = False,
    speakers: Speakers = "auto",
    dtype: str = AUTO,
    use_later_labels: bool = False,
    report: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Predict every turn of files into a folder of Parquet parts.

    A row of a Parquet or JSONL file is a turn with `dialogue_id`, `speaker` and `text`;
    tables in other formats and transcripts are copied to such files first. The parts have
    the rows and columns of the input in its order, with `row`, `label`, `score` and
    `scores`, `turn` where the input does not number its turns, and `source` where it has
    a column `known_emotion`. After a kill or a full
    disk, the same call makes the missing parts.

    All files are one input, in the order of their names, and the scores are those that
    one process gives which predicts its rows in order: with `speaker_memory="corpus"` a
    person remembers what they said in earlier dialogues, also of earlier files.

    Memory: the rows of a part per worker, about 100 bytes per dialogue of the whole input
    for the check that no dialogue comes twice, and the last `memory_window` utterances of
    each person with `speaker_memory="corpus"`.

    Args:
        checkpoint: A run folder, a built-in model, or a folder of `emonet export`.
        source: A file, or a folder of them.
        output: The folder for `part-*.parquet` and `predictions.json`.
        runner: Distributes chunks to workers: `run_with_datasets` (default) or
            `ray_engine.run_with_ray`.
        workers: Processes, each with its own model.
        batch_size: Dialogues per forward pass.
        turns_a_part: Least rows of a part, which a worker holds in memory.
        prefix: What the names of the columns that are added begin with.
        interleaved: Whether the rows of several dialogues may be mixed within a file. A
            part then ends where no dialogue is open.
        speakers: Who is a person, see [`speaker_kinds`].
        dtype: What the model computes in, see [`computing_in`]. What `auto` is here holds
            for all workers, and is kept in `predictions.json`.
        use_later_labels: Whether a known emotion also tells about earlier turns.
        report: Called every second with the number of rows in parts and of all rows.
        tell: Called with what was read, and with what was decided about the speakers.

    Returns:
        The content of `predictions.json`.

    Raises:
        EmoNetError: for input that can't be read, an output folder of other predictions
            or of a running one, files that change during the run, a person among
            `speakers` that the input does not have, and a prompted model whose prompts
            hold a trajectory, unless `speakers` is `roles`.
    """
    checkpoint = Path(built_in_path(str(checkpoint)))
    if not checkpoint.is_dir():
        raise EmoNetError(
            f"{checkpoint} is not a folder: bulk prediction needs a model on this machine. Download it first."
        )
    if min(workers, batch_size, turns_a_part) < 1:
        raise EmoNetError(
            f"workers={workers}, batch_size={batch_size}, turns_a_part={turns_a_part}: "
            "each must be at least 1."
        )
    source, output = Path(source), Path(output).absolute()
    files = input_files(source)
    if output in (source.absolute(), *source.absolute().parents):
        raise EmoNetError(f"{output} holds the input; choose another --output.")
    rule = speaker_kinds((), speakers).record
    options: dict[str, Any] = {
        "turns_a_part": turns_a_part,
        "prefix": prefix,
        "interleaved": interleaved,
        "speakers": rule,
    }
    if use_later_labels:
        options["use_later_labels"] = True
    if _is_exported(checkpoint):
        refuse_for_graph(dtype)
    else:
        options["dtype"] = dtype = resolved_dtype(dtype)
    facts = facts_of(checkpoint, source, files, options)
    made_by = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    folder = OutputFolder(output, made_by, prefix)
    tell = tell or (lambda note: None)
    with folder.locked(), copies_in(folder.folder / COPIES, files, interleaved, tell) as readable:
        plan: Plan = plan_chunks(readable, turns_a_part, interleaved)
        if len(files) > 1 or is_direct(files[0]):
            tell(plan.summary("table" if len(files) == 1 else f"{len(files)} files"))
        source_column = ["source"] if plan.has_known else []
        own = [f"{prefix}{name}" for name in ("row", "label", "score", "scores", *source_column)]
        check_columns(plan.schema.names, own, prefix)
        folder.begin(facts)
        missing = [chunk for chunk in plan.chunks if not folder.is_finished(chunk)]
        starts_folder = folder.folder / COPIES / STARTS
        try:
            starts, note = find_starts(checkpoint, starts_folder, plan, missing, speakers)
            if note:
                tell(note)
            if missing:
                work = ChunkWork(
                    str(checkpoint.absolute()),
                    folder,
                    plan.schema,
                    batch_size,
                    starts,
                    dtype,
                    use_later_labels,
                    plan.has_known,
                )
                with _reporting(folder, plan, report):
                    (runner or run_with_datasets)(work, missing, workers)
        finally:
            close_rows()
        now = facts_of(checkpoint, source, files, options)
        folder.finish(facts, plan, now)
        if note := folder.unknown_characters(plan):
            tell(note)
        manifest: dict[str, Any] = read_json(folder.folder / MANIFEST)
        return manifest


@contextmanager
def _reporting(folder: OutputFolder, plan: Plan, report: Callable[[int, int], None] | None) -> Iterator[None]:
    """Report the rows of the parts that exist, while workers make more of them."""
    if report is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            sizes = (chunk.last - chunk.first for chunk in plan.chunks if folder.part(chunk).exists())
            report(sum(sizes), plan.rows)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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


@lru_cache(maxsize=1)
def _loaded(checkpoint: str, made_by: str, dtype: str) -> tuple[Any, Any]:
    """Load the model once per process; `made_by` changes with its files."""
    model, processor = load_engine(checkpoint, "onnx" if _is_exported(Path(checkpoint)) else "torch")
    return computing_in(model, dtype), processor


def _is_exported(checkpoint: Path) -> bool:
    """Whether a folder is one of `export_onnx`."""
    return (checkpoint / RECORD_FILE).is_file()
