"""End forked workers with their parent, so that a kill leaves none behind."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 0.5  # between looks for the parent
_watched: int | None = None


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """End the processes that are forked within when this one ends, even by a kill."""
    global _watched
    before, _watched = _watched, os.getpid()
    try:
        yield
    finally:
        _watched = before


def _watch_parent() -> None:
    global _watched
    if _watched is not None:
        parent, _watched = _watched, os.getpid()  # processes forked here watch this one
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)


if hasattr(os, "register_at_fork"):  # missing where processes are not forked
    os.register_at_fork(after_in_child=_watch_parent)
