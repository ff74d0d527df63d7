"""Hooks of mkdocs (`mkdocs.yml`): find the package, and add the command-line page."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

PAGE = "reference/command_line.md"


@event_priority(100)  # before mkdocstrings reads its configuration
def on_config(config: Any) -> None:
    """Let mkdocstrings find the modules.

    It looks for a folder with the package's name, and a checkout may have another name.
    """
    link = Path(tempfile.mkdtemp(), "emonet")
    link.symlink_to(Path(__file__).resolve().parents[1], target_is_directory=True)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(link.parent)]


def on_files(files: Files, config: Any) -> Files:
    """Add the command-line page to the site."""
    files.append(File.generated(config, PAGE, content=command_line()))
    return files


def command_line() -> str:
    """The command-line page: the help text of each command."""
    from emonet.cli.main import _parser

    os.environ["COLUMNS"] = "110"
    sections = [
        f"## {parser.prog}\n\n```text\n{parser.format_help()}```\n" for parser in _commands(_parser())
    ]
    return "# Command line\n\n" + "\n".join(sections)


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and the parsers of its commands, in order."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):  # an alias is no new command
                yield from _commands(command)
