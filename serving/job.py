"""Work that runs beside its page: it tells how far it is, can be stopped, and has a
deadline.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..inference.predict import Report
from .predictor import Stopped

Answer = TypeVar("Answer")


class Job(Generic[Answer]):
    """Work in a thread of its own.

    Args:
        work: Called with a report `(what, done, whole)`, which raises [`Stopped`] when
            nobody wants the answer any more.
        seconds: Time until it is stopped.

    Attributes:
        answer: What `work` returned. error: What it raised. overdue: Whether the deadline
            stopped it.
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
        """Nobody waits any more; the thread ends with its next report."""
        self._stopped.set()
        self._ended.set()

    def done(self, wait: float) -> bool:
        """Whether it has ended, was stopped or is overdue, after at most `wait` seconds."""
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
