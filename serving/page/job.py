"""Run work beside the page, with progress, a deadline and a way to stop it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ...inference.predict import Report
from ..predictor import Stopped

Answer = TypeVar("Answer")


class Job(Generic[Answer]):
    """Work in a thread of its own.

    Args:
        work: Called with a report `(what, done, whole)`, which raises `Stopped` once
            nobody waits for the answer.
        seconds: Time after which it is stopped.

    Attributes:
        answer: What `work` returned.
        error: What `work` raised.
        overdue: Whether the deadline stopped it.
        progress: What is being done, how much of it is done, and how much there is.
    """

    def __init__(self, work: Callable[[Report], Answer], seconds: float):
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.overdue = False
        self.progress = ("preparing", 0, 1)
        self._work, self._deadline = work, time.monotonic() + seconds
        self._stopped, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Give the answer up; the thread ends at its next report."""
        self._stopped.set()
        self._ended.set()

    def done(self, wait: float) -> bool:
        """Wait for at most `wait` seconds, then return whether it has ended."""
        left = self._deadline - time.monotonic()
        if not self._ended.wait(max(0.0, min(wait, left))) and left <= wait:
            self.overdue = True
            self.stop()
        return self._ended.is_set()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped, by somebody or by its deadline."""
        return self._stopped.is_set()

    def _run(self) -> None:
        try:
            self.answer = self._work(self._report)
        except Stopped:
            pass
        except Exception as error:
            self.error = error
        finally:
            self._ended.set()

    def _report(self, what: str, done: int, whole: int) -> None:
        self.progress = (what, done, whole)
        if self.stopped:
            raise Stopped
