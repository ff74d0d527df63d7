"""Check that an input gives a result or one of the package's own errors."""

import contextlib
import io
import linecache
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HFValidationError

import emonet
from emonet.cli import main as cli

ROOT = str(Path(emonet.__file__).parent)
PATIENCE = 120  # seconds; a case takes milliseconds, so one that takes this long hangs


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Fail the test if the block does not end in time."""

    def fail(*_: Any) -> None:
        pytest.fail(f"no end after {PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fork(work: Callable[[], object]) -> int:
    """Start `work` in a fork of this process, and return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def end_of(child: int) -> int:
    """Wait for a fork: 0 on success, 1 if it raised, minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_clear(error: BaseException) -> bool:
    """Whether the package raised the error itself, or it is a file error with a name."""
    if isinstance(error, OSError) and error.filename is not None:
        return True
    if isinstance(error, HFValidationError):  # names the repository and the rule
        return True
    if (
        not isinstance(error, (ValueError, TypeError))
        or isinstance(error, UnicodeError)
        or len(str(error)) < 12
    ):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    file = trace.tb_frame.f_code.co_filename
    return file.startswith(ROOT) and linecache.getline(file, trace.tb_lineno).strip().startswith("raise")


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Accept the package's own errors; fail on any other error and on a hang."""
    try:
        with no_hang():
            yield
    except Exception as error:
        if not is_clear(error):
            raise


@dataclass
class Answer:
    """A command's status and output; `error` is the error it reported."""

    status: int
    out: str
    err: str
    error: BaseException | None


def command(*arguments: str, stdin: bytes = b"") -> Answer:
    """Run `emonet` in this process and check how it ends; its output must be UTF-8."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors=errors) for errors in ("strict", "backslashreplace")
    )
    refused: list[BaseException] = []
    say = cli._refuse
    with pytest.MonkeyPatch.context() as patch, no_hang():
        patch.setattr(cli, "_refuse", lambda error: refused.append(error) or say(error))
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        try:
            status = cli.main(arguments)
        except SystemExit as usage:  # argparse: usage and one line
            status = int(usage.code or 0)
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
    answer = Answer(status, *texts, refused[0] if refused else None)
    check(answer)
    return answer


def check(answer: Answer) -> None:
    assert "Traceback" not in answer.err
    if answer.status == 0:
        return
    assert answer.status == 2
    last = answer.err.rstrip("\n").split("\n")[-1]
    assert last.startswith("emonet"), answer.err
    if answer.error is not None:
        assert last.startswith("emonet: ") and len(last) <= 2100
        if not is_clear(answer.error):
            raise AssertionError(f"not a clear error: {answer.error!r}") from answer.error
