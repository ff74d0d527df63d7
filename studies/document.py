"""Write headings, paragraphs, tables and pictures as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `code` between backticks and **strong** between asterisks."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; columns after the first `text_columns` are figures, aligned right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


@dataclass(frozen=True)
class Picture:
    """A PNG, named relative to the document's folder."""

    file: str
    caption: str


Block = Heading | Text | Table | Picture


def as_markdown(blocks: Iterable[Block]) -> str:
    """The document as GitHub Markdown; pictures are links."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Picture):
        return f"![{block.caption}]({block.file})\n\n*{block.caption}*"
    alignments = [":--" if column < block.text_columns else "--:" for column in range(len(block.header))]
    lines = [block.header, alignments, *block.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
