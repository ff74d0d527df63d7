"""Make standard output write any text and survive a reader that goes away."""

import codecs
import io
import os
import select
import sys

CLOSED_PIPE = 128 + 13  # a shell's status of a program that SIGPIPE ended


def can_write_anything() -> None:
    """Make stdout and stderr write any text.

    ASCII becomes UTF-8; other encodings escape the characters that they lack.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if codecs.lookup(stream.encoding).name == "ascii":
            # As in PEP 540: names as UTF-8, paths byte for byte.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def is_utf8() -> bool:
    """Whether standard output writes UTF-8, which JSON requires."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name == "utf-8"


def is_closed() -> bool:
    """Whether the reader of standard output is gone.

    A BrokenPipeError does not say which pipe broke.
    """
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # no stdout, or one in memory
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def drop_output() -> None:
    """Discard pending output, or the interpreter prints an error when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
