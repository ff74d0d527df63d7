"""Log lines of the server: they hold nothing of what a visitor sent, and repeat nothing
without end.
"""

import io
import logging
import sys
import time
import traceback
from typing import Any

A_MINUTE = 5  # lines of a kind
KINDS = 1000  # that are counted at a time
OURS = "emonet."


def write_log_lines() -> None:
    """Write this process's log to standard error: what the package says, and warnings of
    libraries.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithoutText("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(NoFlood())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("emonet.serving").setLevel(logging.INFO)


def quiet_libraries() -> None:
    """From now on, what libraries print goes through the log. (Gradio prints tracebacks
    of the page's events.)
    """
    sys.stdout = sys.stderr = Printed()


class WithoutText(logging.Formatter):
    """Errors as their type and their place, and lines of other libraries as their
    templates.

    An error's message and a line's arguments may hold what somebody said.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and one more for each place of its error."""
        if not record.name.startswith(OURS):
            record = logging.makeLogRecord(
                {**record.__dict__, "msg": f"{record.name}: {_template(record)}", "args": None}
            )
        record.exc_text = None  # another formatter's
        return super().format(record)

    def formatException(self, error: Any) -> str:
        """The error's type, and where it was raised."""
        kind, _, frames = error
        places = [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(frames)[-12:]
        ]
        return "\n".join([f"{kind.__module__}.{kind.__qualname__}", *places])


class NoFlood(logging.Filter):
    """A few lines of each kind a minute, and at the next one how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[Any, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, _template(record), error)
        began, count = self._kinds.get(kind, (time.monotonic(), 0))
        if time.monotonic() - began >= 60:
            if count > A_MINUTE:
                record.msg = f"{record.msg} ({count - A_MINUTE} more like this were left out)"
            began, count = time.monotonic(), 0
        if len(self._kinds) >= KINDS:
            self._kinds.clear()
        self._kinds[kind] = (began, count + 1)
        return count < A_MINUTE


class Printed(io.TextIOBase):
    """Standard output and error of libraries: that they print is logged, what they print
    is not.
    """

    def __init__(self) -> None:
        self._told: BaseException | None = None

    def write(self, text: str) -> int:
        """Log the error that is being handled, once, or that something was printed."""
        error = sys.exc_info()[1]
        logger = logging.getLogger("emonet.serving")
        if error is None:
            if text.strip():
                logger.warning("A library printed something")
        elif error is not self._told:
            self._told = error
            logger.error("An event failed", exc_info=error)
        return len(text)

    def writable(self) -> bool:
        """Yes."""
        return True


def _template(record: logging.LogRecord) -> str:
    return str(record.msg).splitlines()[0][:200] if record.msg else ""
