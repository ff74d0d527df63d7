"""Processes that end with the one that started them: a killed run would leave its workers
waiting, each with a model.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 0.5  # from the end of a process to that of the processes it forked
_watched: int | None = None


@contextmanager
def ending_with_us() -> Iterator[None]:
    """Processes forked within end when this one has ended, however it did."""
    global _watched
    before, _watched = _watched, os.getpid()
    try:
        yield
    finally:
        _watched = before


def _watch_parent() -> None:
    global _watched
    if _watched is not None:
        parent, _watched = _watched, os.getpid()  # which what is forked here is to watch
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)


if hasattr(os, "register_at_fork"):  # elsewhere nothing is forked
    os.register_at_fork(after_in_child=_watch_parent)
