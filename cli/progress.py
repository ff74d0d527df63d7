"""Show how far a long prediction is: a bar at a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable
from typing import IO, Any

_SECONDS = 10.0  # between two lines


class Progress:
    """The progress of a prediction on stderr.

    Args:
        total: The number of turns.
        stream: Where to write.
        clock: The time in seconds.
    """

    def __init__(
        self, total: int, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic
    ):
        self.total, self.done, self.clock = total, 0, clock
        self.stream = stream or sys.stderr
        self.started = self.last = clock()
        self.bar: Any = None
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit=" turns", file=self.stream)

    def add(self, turns: int) -> None:
        """Count more turns."""
        self.done += turns
        if self.bar is not None:
            self.bar.update(turns)
        elif self.clock() - self.last >= _SECONDS:
            self.last = self.clock()
            print(self.line(), file=self.stream, flush=True)

    def line(self) -> str:
        """`12,400 of 30,000 turns, 41 %, 310 turns/s, about 57 s left`."""
        rate = self.done / max(self.clock() - self.started, 1e-9)
        left = _duration((self.total - self.done) / rate) if self.done else "an unknown time"
        share = f"{100 * self.done // max(self.total, 1)} %"
        return f"{self.done:,} of {self.total:,} turns, {share}, {rate:,.0f} turns/s, about {left} left"

    def close(self) -> None:
        """End the bar."""
        if self.bar is not None:
            self.bar.close()


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
