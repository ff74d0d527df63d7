"""Log lines hold no text, and a flood of them is a few."""

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
    """What the server writes, while the test lasts."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(WithoutText("%(levelname)s %(message)s"))
    handler.addFilter(NoFlood())
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [handler])
    return written


def fail(text: str) -> None:
    raise ValueError(f"no such turn: {text}")


def test_an_error_is_its_type_and_its_place(log: Any) -> None:
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


def test_what_libraries_print_is_told_and_not_repeated(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Printed())
    try:
        fail("a secret")
    except ValueError:
        traceback.print_exc()
    print("a secret", file=sys.stderr)
    lines = log.getvalue()
    assert "secret" not in lines and lines.count("ValueError") == 1 and lines.count("printed something") == 1


def test_a_flood_is_a_few_lines_and_a_count(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
