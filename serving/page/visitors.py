"""Run the visitors' jobs: one each, with progress, a deadline and a way to cancel it."""

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import gradio as gr
from gradio.blocks import Block
from gradio.context import LocalContext

from ...errors import DataFormatError, EmoNetError
from ...inference.predict import Report
from .job import Job
from .messages import alert, note, progress

logger = logging.getLogger("emonet.serving")

MAX_JOBS = 32  # of all visitors at a time

Answer = TypeVar("Answer")
Updates = dict[Block, Any]


@dataclass(frozen=True)
class _Running:
    """A job, and the components that show its progress; a program has none."""

    job: Job[Any]
    output: Block | None = None
    cancel: Block | None = None


class Visitors:
    """The jobs of all visitors.

    Everything expensive is a job. On the page, a visitor's new job replaces the previous
    one. Gradio's own means do less: `cancels=` ends the function that waits but not the
    thread that computes, and `gr.Progress` covers the results and is not read out.

    Args:
        seconds: Time for a job.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._running: dict[str, _Running] = {}

    def run(
        self,
        request: gr.Request,
        work: Callable[[Report], Answer],
        action: str,
        output: Block,
        cancel: gr.Button,
    ) -> Generator[Updates, None, Answer | None]:
        """Run work as the visitor's job.

        Args:
            request: Names the visitor.
            work: What to run.
            action: Names what it does with turns.
            output: Where progress, and the reason for a failure, are shown.
            cancel: The button that cancels it.

        Returns:
            The answer; None if there is none.
        """
        key = str(request.session_hash)
        if earlier := self._running.pop(key, None):
            earlier.job.stop()
        if reason := self._full():
            yield {output: alert(reason)}
            return None
        job = Job(work, self.seconds)
        self._running[key] = running = _Running(job, output, cancel)
        try:
            while not job.done(wait=0.3):
                yield {output: progress(job, action), cancel: gr.Button(visible=True)}
        finally:  # also if the visitor has closed the page
            cancelled, later = job.stopped, self._running.get(key, running)
            self._end(key, running)
        if later is not running:  # which shows its own progress
            ended = note("Cancelled, because you began something else.")
            if later.output is not output:
                yield {output: ended}
            if later.cancel is not cancel:
                yield {output: ended, cancel: gr.Button(visible=False)}
            return None
        if cancelled and not job.overdue:
            yield {output: note("Cancelled."), cancel: gr.Button(visible=False)}
            return None
        if reason := self._failure(job):
            yield {output: alert(reason), cancel: gr.Button(visible=False)}
            return None
        return job.answer

    async def answer(self, request: gr.Request, work: Callable[[Report], Answer]) -> Answer:
        """Run work for a program, beside the visitor's other jobs.

        Args:
            request: Names the visitor.
            work: What to run.

        Raises:
            gr.Error: If there is no answer; it says why.
        """
        if reason := self._full():
            raise gr.Error(reason, print_exception=False)
        key = f"{request.session_hash} {LocalContext.event_id.get(None) or uuid4()}"
        job = Job(work, self.seconds)
        self._running[key] = running = _Running(job)
        try:
            while not job.done(wait=0):
                await asyncio.sleep(0.02)
        finally:  # also if the program has gone
            self._end(key, running)
        if job.answer is None:
            raise gr.Error(self._failure(job) or "Cancelled.", print_exception=False)
        return job.answer

    def cancel(self, request: gr.Request) -> None:
        """Stop the visitor's job on the page."""
        if running := self._running.get(str(request.session_hash)):
            running.job.stop()

    def cancel_call(self, session: str, event: str) -> None:
        """Stop one call of a program."""
        if running := self._running.get(f"{session} {event}"):
            running.job.stop()

    def leave(self, request: gr.Request) -> None:
        """Stop all jobs of a visitor who has gone."""
        for key, running in list(self._running.items()):
            if key.partition(" ")[0] == str(request.session_hash):
                running.job.stop()

    def _full(self) -> str:
        """Return why there is no place for another job; nothing if there is one."""
        if len(self._running) < MAX_JOBS:
            return ""
        return f"{MAX_JOBS} visitors have something under way, which is the limit. Try again in a moment."

    def _end(self, key: str, running: _Running) -> None:
        running.job.stop()
        if self._running.get(key) is running:
            del self._running[key]

    def _failure(self, job: Job[Any]) -> str:
        """Return why a job has no answer; nothing if it has one, or was cancelled."""
        if job.overdue:
            limit = f"{self.seconds:g} seconds, which is the limit"
            return f"Not done within {limit}; cut the script into parts."
        if isinstance(job.error, (DataFormatError, EmoNetError)):
            return str(job.error)
        if job.error is not None:
            logger.error("A job of the page failed", exc_info=job.error)
            return "The server failed at this; its log says why."
        return ""


def event_data(event: gr.EventData) -> Mapping[str, Any]:
    """Return what a script of the page sent with an event."""
    return event._data or {}
