"""Label the rows of an input in its order, as they are computed."""

import ctypes
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..dialogue.names import Speakers
from ..inference.predict import EmotionModel, TurnProcessor
from ..inference.stream import predict_stream
from ..inference.unknown_characters import UnknownCharacters
from .prediction_input import PredictionInput, SourceRow

_MMAP_THRESHOLD = -3  # of `mallopt`


def predicted_rows(
    model: EmotionModel,
    processor: TurnProcessor,
    source: PredictionInput,
    prefix: str = "",
    batch_size: int = 16,
    speakers: Speakers = "auto",
    use_later_labels: bool = False,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the next rows of the input with `row`, `label`, `score` and `scores`.

    Where the input has known emotions, each row has a `source` too.

    Args:
        model: The model, or an engine in its place.
        processor: The model's processor.
        source: The input.
        prefix: What the names of the columns that are added begin with.
        batch_size: Windows of one pass.
        speakers: Who is a person, see [`speaker_kinds`].
        use_later_labels: Whether a known emotion also tells about earlier turns.
    """
    _keep_memory_flat()
    waiting: deque[SourceRow] = deque()  # rows without a result
    early: dict[int, dict[str, Any]] = {}  # rows that come after one without a result
    row = 0
    characters = UnknownCharacters(processor.tokenizer)
    dialogues = (_read(rows, waiting, characters) for rows in source.dialogues())
    for results in predict_stream(
        model,
        processor,
        dialogues,
        batch_size,
        speakers=speakers,
        use_later_labels=use_later_labels,
        has_known=bool(source.known),
    ):
        for result in results:
            read = waiting.popleft()
            early[read.index] = labelled_row(read.index, read.cells, result, prefix)
        ready = []
        while row in early:
            ready.append(early.pop(row))
            row += 1
        _keep_memory_flat()
        if ready:
            yield ready
    characters.warn()


def _keep_memory_flat() -> None:
    """Keep large tensors out of the heap, and return what it freed to the system.

    glibc raises its limit for separate blocks as they are freed. Tensors of ever new
    sizes then go to the heap, where they do not fit, and the process grows with the file.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 1 << 20)
        libc.malloc_trim(0)


def labelled_row(
    index: int, cells: Mapping[str, Any], result: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Put the input's columns between the row's index and its prediction."""
    return {f"{prefix}row": index, **cells, **{f"{prefix}{name}": value for name, value in result.items()}}


def _read(
    rows: Iterator[SourceRow], waiting: deque[SourceRow], characters: UnknownCharacters
) -> Iterator[Mapping[str, Any]]:
    """Yield the turns of rows, which then wait for their results."""
    for row in rows:
        waiting.append(row)
        characters.add(row.turn["text"])
        yield row.turn
