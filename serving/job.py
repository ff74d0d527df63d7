"""A prediction that runs beside its page: it tells how far it is, and can be stopped."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from ..errors import EmoNetError
from .predictor import Predictor, Stopped, Turns

_WORDS = {"memory": "Reading what the speakers said before", "turns": "Naming emotions"}


class Job:
    """The dialogues of a script on their way through the model, in a thread of their own.

    Attributes:
        answer: The labelled turns of each dialogue once `done`, unless it was stopped or `error` says what went wrong.
        stopped: Whether somebody stopped it; the pass that is being computed then still ends.
    """

    def __init__(self, predictor: Predictor, dialogues: Sequence[Turns], seconds: float):
        self.answer: list[list[dict[str, Any]]] | None = None
        self.error: Exception | None = None
        self._predictor, self._dialogues = predictor, dialogues
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._stop = threading.Event()
        self._progress = ("Preparing", 0, 1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it after the pass that is being computed."""
        self._stop.set()

    def done(self, wait: float) -> bool:
        """Whether it has ended, after at most `wait` seconds."""
        self._thread.join(wait)
        return not self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def progress(self) -> tuple[str, int, int]:
        """What is being done, how much of it is done, and how much there is."""
        return self._progress

    def _run(self) -> None:
        try:
            self.answer = self._predictor.predict(self._dialogues, report=self._report)
        except Stopped:
            pass
        except Exception as error:
            self.error = error

    def _report(self, what: str, done: int, whole: int) -> None:
        self._progress = (_WORDS[what], done, whole)
        if self._stop.is_set():
            raise Stopped
        if time.monotonic() > self._deadline:
            raise EmoNetError(
                f"Not done within {self._seconds:g} seconds, which is the limit; cut the script into parts."
            )
