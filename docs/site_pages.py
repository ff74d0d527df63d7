"""Hooks of mkdocs (`mkdocs.yml`): the page of the command line, from what `--help` says."""

import argparse
import os
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files

PAGE = "reference/command_line.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=command_line()))
    return files


def command_line() -> str:
    """The page: what each command says of itself."""
    from emonet.cli import _parser

    os.environ["COLUMNS"] = "110"
    sections = [f"## {parser.prog}\n\n```text\n{parser.format_help()}```\n" for parser in _commands(_parser())]
    return "# Command line\n\n" + "\n".join(sections)


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, in order."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _commands(command)
