"""Write log lines without anything that visitors sent, and without a flood."""

import io
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import TypeAlias

PER_MINUTE = 5  # lines of a kind
MAX_KINDS = 1000  # that are counted at a time
OURS = "emonet."

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def write_log_lines() -> None:
    """Log the package's messages and libraries' warnings to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithoutText("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(NoFlood())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("emonet.serving").setLevel(logging.INFO)


def quiet_libraries() -> None:
    """Log that libraries print, instead of what they print.

    Gradio prints the traceback of a failed event, which may hold what a visitor sent.
    """
    sys.stdout = sys.stderr = Printed()


class WithoutText(logging.Formatter):
    """Write an error as its type and location, and other libraries' lines unfilled.

    An error's message and a line's arguments may hold what a visitor sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, and one more for each location of its error."""
        if not record.name.startswith(OURS):
            record = logging.makeLogRecord(
                {**record.__dict__, "msg": f"{record.name}: {_template(record)}", "args": None}
            )
        record.exc_text = None  # cached by another formatter
        return super().format(record)

    def formatException(self, ei: _ExcInfo) -> str:
        """Return the error's type, and where it was raised."""
        kind, _, frames = ei
        if kind is None:
            return ""
        locations = [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(frames)[-12:]
        ]
        return "\n".join([f"{kind.__module__}.{kind.__qualname__}", *locations])


class NoFlood(logging.Filter):
    """Pass a few lines of each kind a minute, then say how many were dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str, type[BaseException] | None], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, _template(record), error)
        began, count = self._kinds.get(kind, (time.monotonic(), 0))
        if time.monotonic() - began >= 60:
            if count > PER_MINUTE:
                record.msg = f"{record.msg} ({count - PER_MINUTE} more like this were left out)"
            began, count = time.monotonic(), 0
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (began, count + 1)
        return count < PER_MINUTE


class Printed(io.TextIOBase):
    """Replace standard output and error: log that something was printed, not what."""

    def __init__(self) -> None:
        self._logged: BaseException | None = None

    def write(self, text: str) -> int:
        """Log the error that is being handled, once, or that something was printed."""
        error = sys.exc_info()[1]
        logger = logging.getLogger("emonet.serving")
        if error is None:
            if text.strip():
                logger.warning("A library printed something")
        elif error is not self._logged:
            self._logged = error
            logger.error("An event failed", exc_info=error)
        return len(text)

    def writable(self) -> bool:
        """Return True."""
        return True


def _template(record: logging.LogRecord) -> str:
    return str(record.msg).splitlines()[0][:200] if record.msg else ""
