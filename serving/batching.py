"""Answer small requests that arrive together in one pass of the model."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dialogue.names import SpeakerKinds, Speakers, speaker_kinds
from .attribution import Turns
from .predictor import Predictor, Stopped

TURNS_PER_BATCH = 512


@dataclass
class _Request:
    dialogues: Sequence[Turns]
    history: Mapping[str, Sequence[str]]
    speakers: SpeakerKinds
    answer: "asyncio.Future[list[list[dict[str, Any]]]]"

    @property
    def size(self) -> int:
        """Its turns, history included."""
        return sum(map(len, self.dialogues)) + sum(map(len, self.history.values()))

    @property
    def is_single(self) -> bool:
        """Whether it has one dialogue; several are each other's history, in order."""
        return len(self.dialogues) == 1


class Batcher:
    """Collect requests that arrive while the model is busy, and predict them together.

    A dialogue's scores do not depend on the rest of its batch. If a batch fails, each of
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
    ) -> list[list[dict[str, Any]]]:
        """Label the turns of a request's dialogues.

        A request whose caller is cancelled is dropped if its batch has not begun.

        Args:
            dialogues: At least one. Without `history`, several are each other's.
            history: The utterances that the speakers of each said before.
        """
        names = [*history, *(turn["speaker"] for turns in dialogues for turn in turns)]
        kinds = speaker_kinds(names, speakers, self.predictor.processor.speakers)
        request = _Request(dialogues, history, kinds, asyncio.get_running_loop().create_future())
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
        while self._waiting and (not batch or self._fits(batch, size)):
            request = self._waiting.pop(0)
            if not request.answer.done():
                batch.append(request)
                size += request.size
        return batch

    def _fits(self, batch: list[_Request], size: int) -> bool:
        waiting = self._waiting[0]
        return batch[0].is_single and waiting.is_single and size + waiting.size <= TURNS_PER_BATCH

    async def _answer(self, batch: list[_Request]) -> None:
        def stop_if_unwanted(what: str, done: int, whole: int) -> None:
            if all(request.answer.done() for request in batch):
                raise Stopped

        dialogues = [turns for request in batch for turns in request.dialogues]
        histories = [request.history for request in batch for _ in request.dialogues]
        kinds = [request.speakers for request in batch for _ in request.dialogues]
        in_time = None if not batch[0].is_single and not batch[0].history else histories
        try:
            answers = await asyncio.to_thread(
                self.predictor.predict, dialogues, in_time, stop_if_unwanted, kinds
            )
        except Stopped:
            return
        except Exception as error:
            if len(batch) > 1:
                for request in batch:
                    await self._answer([request])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        rest = iter(answers)
        for request in batch:
            rows = [next(rest) for _ in request.dialogues]
            if not request.answer.done():
                request.answer.set_result(rows)
