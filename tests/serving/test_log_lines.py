"""Log lines hold no visitor's text, and repeated ones are dropped and counted."""

import io
import logging
import sys
import traceback
from typing import Any

import pytest

from emonet.serving import log_lines
from emonet.serving.log_lines import NoFlood, Printed, WithoutText


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The log during the test."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(WithoutText("%(levelname)s %(message)s"))
    handler.addFilter(NoFlood())
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [handler])
    return written


def fail(text: str) -> None:
    raise ValueError(f"no such turn: {text}")


def test_an_error_is_logged_as_type_and_location(log: Any) -> None:
    try:
        fail("a secret")
    except ValueError as error:
        logging.getLogger("emonet.serving").error("A request failed", exc_info=error)
        logging.getLogger("asyncio").error(
            f"Task exception was never retrieved\nfuture: {error!r}", exc_info=error
        )
        logging.getLogger("uvicorn.error").error("Invalid request: %s", error)
    lines = log.getvalue()
    assert "secret" not in lines
    assert (
        "ERROR A request failed\nbuiltins.ValueError\n" in lines
        and "test_log_lines.py" in lines
        and "in fail" in lines
    )
    assert (
        "asyncio: Task exception was never retrieved" in lines and "uvicorn.error: Invalid request" in lines
    )


def test_a_library_that_prints_is_logged_without_its_text(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Printed())
    try:
        fail("a secret")
    except ValueError:
        traceback.print_exc()
    print("a secret", file=sys.stderr)
    lines = log.getvalue()
    assert "secret" not in lines and lines.count("ValueError") == 1 and lines.count("printed something") == 1


def test_repeated_lines_are_dropped_and_counted(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(log_lines.time, "monotonic", lambda: now[0])
    logger = logging.getLogger("emonet.serving")
    for number in range(1000):
        logger.error("A request failed: %d", number)
    logger.error("Something else")
    assert (
        log.getvalue().count("A request failed") == log_lines.PER_MINUTE
        and "Something else" in log.getvalue()
    )
    now[0] = 61.0
    logger.error("A request failed: %d", 1000)
    assert "A request failed: 1000 (995 more like this were left out)" in log.getvalue()
