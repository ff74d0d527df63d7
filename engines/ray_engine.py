"""The chunks of a bulk prediction over the workers of a Ray cluster, with Ray Data."""

from collections.abc import Sequence
from typing import Any

from ..errors import EmoNetError
from .bulk import LESS_MEMORY, ChunkWork
from .bulk_input import Chunk

_RESTARTS = 3  # Ray Data's own number is "for ever", which a chunk that never fits in memory would use


class _Worker:
    """An actor: it keeps the model from chunk to chunk."""

    def __init__(self, work: ChunkWork, chunks: Sequence[Chunk]):
        self.work = work
        self.chunks = chunks

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What is wrong with a chunk comes back as a row: Ray wraps what a worker raises
        beyond recognition.
        """
        try:
            for place in batch["place"]:
                self.work(self.chunks[int(place)])
        except EmoNetError as error:
            return {"wrong": [str(error)]}
        return {"wrong": [""]}


def run_with_ray(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """One model a worker; the chunk of a worker that dies goes to another. Input and
    output lie where all machines see them.

    It joins the cluster that `ray.init` or RAY_ADDRESS names, or starts one on this
    machine.

    Raises:
        EmoNetError: without ray, or where workers ran out of memory.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EmoNetError("ray is not installed: pip install 'emonet[ray]'.") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    places = ray.data.from_items(
        [{"place": place} for place in range(len(chunks))], override_num_blocks=len(chunks)
    )
    done = places.map_batches(
        _Worker,
        fn_constructor_args=(work, list(chunks)),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(chunks))),
        max_restarts=_RESTARTS,
        max_task_retries=_RESTARTS,
    )
    try:
        for row in done.iter_rows():
            if row["wrong"]:
                raise EmoNetError(row["wrong"])
    except ray.exceptions.RayError as error:
        if "OutOfMemory" in repr(error) or isinstance(
            error, (ray.exceptions.WorkerCrashedError, ray.exceptions.ActorDiedError)
        ):
            raise EmoNetError(
                f"A worker died ({type(error).__name__}), most likely out of memory. {LESS_MEMORY}"
            ) from error
        raise
