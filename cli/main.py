"""The `emonet` command: assemble the parser, run a command, report its errors."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ..cli import (
    annotations,
    backbone,
    ceiling,
    compare,
    demo,
    environment,
    evaluate,
    export,
    forget,
    knowledge,
    predict,
    presets,
    push,
    results,
    serve,
    speakers,
    speed,
    study,
    train,
)
from ..constants import PACKAGE_VERSION
from .standard_output import CLOSED_PIPE, can_write_anything, drop_output, is_closed

# In the order of `emonet --help`. Commands import heavy modules when they run, so that
# `--help` answers at once.
_COMMANDS = (
    demo,
    train,
    evaluate,
    predict,
    annotations,
    export,
    compare,
    study,
    ceiling,
    results,
    push,
    forget,
    speakers,
    serve,
    speed,
    knowledge,
    presets,
    backbone,
    environment,
)
_LONGEST_ERROR = 2000  # characters; a wrong value may be a whole document


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Bad input prints one line on stderr and returns 2. If the reader of the output goes
    away (`| head`), the command ends silently with the status of SIGPIPE.
    """
    can_write_anything()
    if argv is None:  # the process is the command's own
        warnings.showwarning = _print_warning
    try:
        return _run(argv)
    finally:
        if is_closed():
            drop_output()


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except (ValueError, OSError) as error:
        return CLOSED_PIPE if isinstance(error, BrokenPipeError) and is_closed() else _refuse(error)
    return 0


def _print_warning(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    """Print a warning for users without the line of code that it comes from."""
    if issubclass(category, UserWarning):
        print(f"emonet: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, *where[:2]), file=sys.stderr, end="")


def _refuse(error: Exception) -> int:
    """Print an error on one line of stderr, whatever line breaks its names hold."""
    message = " ".join(str(error).split())
    if len(message) > _LONGEST_ERROR:
        message = message[:_LONGEST_ERROR] + " …"
    print(f"emonet: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emonet", description="Emotion recognition in conversation.")
    parser.add_argument("--version", action="version", version=f"emonet {PACKAGE_VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
