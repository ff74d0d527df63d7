"""Import and load what a command needs, without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Switch the garbage collector off, and keep what was loaded out of its later passes.

    Modules and weights stay until the end, so its passes over ever more of them find
    nothing; they take a tenth of the time to the first prediction.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
