"""A document of headings, paragraphs, tables and figures, written as Markdown and as one self-contained HTML file."""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


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
    """The first `text_columns` are text, the others are figures and stand at the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


@dataclass(frozen=True)
class Picture:
    """A PNG, named relative to the document's folder."""

    file: str
    caption: str


Block = Heading | Text | Table | Picture

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 86rem; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .6rem; } h2 { border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
p { max-width: 52rem; } code { background: #f2f2f2; padding: 0 .2em; border-radius: 3px; }
.table { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; font-size: .86rem; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e3e3; }
th { border-bottom: 2px solid #888; vertical-align: bottom; } td { font-variant-numeric: tabular-nums; }
.text { text-align: left; } figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; color: #444; max-width: 52rem; }
""".strip()


def as_markdown(blocks: Iterable[Block]) -> str:
    """The document as GitHub's Markdown; pictures are links."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def as_html(blocks: Iterable[Block], title: str, folder: Path) -> str:
    """The document as HTML with its pictures, which lie in `folder`, inside."""
    body = "\n".join(_html(block, folder) for block in blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Picture):
        return f"![{block.caption}]({block.file})\n\n*{block.caption}*"
    sides = [":--" if column < block.text_columns else "--:" for column in range(len(block.header))]
    lines = [block.header, sides, *block.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _html(block: Block, folder: Path) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p>{_inline(block.text)}</p>"
    if isinstance(block, Picture):
        data = base64.b64encode((folder / block.file).read_bytes()).decode()
        alt, caption = html.escape(block.caption), _inline(block.caption)
        return f'<figure><img src="data:image/png;base64,{data}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'
    head, *rows = (
        _html_row(line, "td" if place else "th", block)
        for place, line in enumerate([block.header, *block.rows])
    )
    body = "\n".join(rows)
    return f'<div class="table"><table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _html_row(cells: Sequence[str], tag: str, table: Table) -> str:
    sides = ['<{} class="text">' if column < table.text_columns else "<{}>" for column in range(len(cells))]
    return (
        "<tr>"
        + "".join(
            f"{side.format(tag)}{_inline(cell)}</{tag}>" for side, cell in zip(sides, cells, strict=True)
        )
        + "</tr>"
    )


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
