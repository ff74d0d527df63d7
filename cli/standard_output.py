"""Standard output that writes every name and text, whatever the locale, and readers of it
that go away.
"""

import codecs
import io
import os
import select
import sys

CLOSED_PIPE = 128 + 13  # what a shell says of a program that SIGPIPE ended


def can_write_anything() -> None:
    """Let standard output and error write UTF-8 where they were to write ASCII, and
    escape what another encoding lacks.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if (
            codecs.lookup(stream.encoding).name == "ascii"
        ):  # as PEP 540 does: names as UTF-8, paths byte for byte
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def is_utf8() -> bool:
    """Whether standard output writes UTF-8, as JSON wants it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name == "utf-8"


def is_closed() -> bool:
    """Whether the reader of standard output is gone; an error that was raised does not
    say which pipe broke.
    """
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # none, or one in memory
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def drop_output() -> None:
    """Send nowhere what is still to be written, or the interpreter complains on its way
    out.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
