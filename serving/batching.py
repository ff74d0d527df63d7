"""Answer small requests that arrive together in one pass of the model."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dialogue.names import Speakers
from .attribution import Turns
from .predictor import Predictor, Prepared, Stopped

TURNS_PER_BATCH = 512


@dataclass
class _Request:
    prepared: Prepared
    answer: "asyncio.Future[list[list[dict[str, Any]]]]"


class Batcher:
    """Collect requests that arrive while the model is busy, and predict them together.

    A request is tokenized when it comes, while the model computes the batch before. A
    dialogue's scores do not depend on the rest of its batch. If a batch fails, each of
    its requests is tried alone, so that a faulty one does not spoil the others.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self._waiting: list[_Request] = []
        self._worker: asyncio.Task[None] | None = None

    async def predict(
        self,
        dialogues: Sequence[Turns],
        history: Mapping[str, Sequence[str]],
        speakers: Speakers = "auto",
        use_later_labels: bool = False,
    ) -> list[list[dict[str, Any]]]:
        """Label the turns of a request's dialogues.

        A request whose caller is cancelled is dropped if its batch has not begun.

        Args:
            dialogues: At least one. Without `history`, several are each other's.
            history: The utterances that the speakers of each said before.
            speakers: Who is a person, see `speaker_kinds`.
            use_later_labels: Whether a `known_emotion` also tells about earlier turns.
        """
        prepare = self.predictor.prepare
        prepared = await asyncio.to_thread(prepare, dialogues, history or None, speakers, use_later_labels)
        request = _Request(prepared, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _work(self) -> None:
        while batch := self._next_batch():
            await self._answer(batch)

    def _next_batch(self) -> list[_Request]:
        """Take the oldest requests that somebody waits for, up to the size of a batch."""
        batch: list[_Request] = []
        size = 0
        while self._waiting:
            turns = self._waiting[0].prepared.turns
            if batch and size + turns > TURNS_PER_BATCH:
                break
            request = self._waiting.pop(0)
            if not request.answer.done():
                batch.append(request)
                size += turns
        return batch

    async def _answer(self, batch: list[_Request]) -> None:
        def stop_if_unwanted(what: str, done: int, whole: int) -> None:
            if all(request.answer.done() for request in batch):
                raise Stopped

        requests = [request.prepared for request in batch]
        try:
            answers = await asyncio.to_thread(self.predictor.predict_prepared, requests, stop_if_unwanted)
        except Stopped:
            return
        except Exception as error:
            if len(batch) > 1:
                for request in batch:
                    await self._answer([request])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for request, rows in zip(batch, answers, strict=True):
            if not request.answer.done():
                request.answer.set_result(rows)
