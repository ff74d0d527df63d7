"""Run the chunks of a bulk prediction on a Ray cluster, with Ray Data."""

from collections.abc import Sequence
from typing import Any

from ..errors import EmoNetError
from .bulk import LESS_MEMORY, ChunkWork
from .bulk_input import Chunk

_RESTARTS = 3  # by default Ray Data restarts forever, also for a chunk that never fits in memory


class _Worker:
    """An actor that keeps the model from chunk to chunk."""

    def __init__(self, work: ChunkWork, chunks: Sequence[Chunk]):
        self.work = work
        self.chunks = chunks

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Run a batch of chunks; return errors as rows, since Ray would wrap them."""
        try:
            for index in batch["index"]:
                self.work(self.chunks[int(index)])
        except EmoNetError as error:
            return {"error": [str(error)]}
        return {"error": [""]}


def run_with_ray(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """Run the chunks on a cluster, with one model per worker.

    Another worker takes over the chunk of one that dies. All machines must see input and
    output under the same paths. It joins the cluster of `ray.init` or RAY_ADDRESS, or
    starts one on this machine.

    Args:
        work: The work on a chunk.
        chunks: The chunks.
        workers: Number of workers.

    Raises:
        EmoNetError: without ray, for an error in a chunk, or for workers that ran out of
            memory.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EmoNetError("ray is not installed: pip install 'emonet[ray]'.") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    indices = ray.data.from_items(
        [{"index": index} for index in range(len(chunks))], override_num_blocks=len(chunks)
    )
    done = indices.map_batches(
        _Worker,
        fn_constructor_args=(work, list(chunks)),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(chunks))),
        max_restarts=_RESTARTS,
        max_task_retries=_RESTARTS,
    )
    try:
        for row in done.iter_rows():
            if row["error"]:
                raise EmoNetError(row["error"])
    except ray.exceptions.RayError as error:
        died = isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.ActorDiedError))
        if died or "OutOfMemory" in repr(error):
            raise EmoNetError(
                f"A worker died ({type(error).__name__}), most likely out of memory. {LESS_MEMORY}"
            ) from error
        raise
