"""The code blocks of a Markdown page, with what an HTML comment above one says of it.

<!-- not run: REASON -->    shown only
<!-- slow: REASON -->       run with the slow tests
<!-- file: PATH -->         the block is the content of this file, which other blocks of
the page read
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(\s*)(```+)\s*([\w-]*)")
_COMMENT = re.compile(r"\s*<!--\s*([\w ]+):\s*(.*?)\s*-->\s*")
MARKS = ("not run", "slow", "file")


@dataclass(frozen=True)
class Block:
    """A block with its place, language and text; `mark` and `said` are those of the
    comment above it.
    """

    page: str
    line: int
    section: str
    language: str
    text: str
    mark: str = ""
    said: str = ""


def blocks(page: Path, root: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order; a section begins at a heading of first or
    second level.
    """
    name, section, comment, fence = page.relative_to(root).as_posix(), "", ("", ""), ""
    start, indent, language, lines = 0, 0, "", []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if fence:
            if line.strip() == fence:
                yield Block(name, start, section, language, "\n".join(lines) + "\n", *comment)
                fence, comment = "", ("", "")
            else:
                lines.append(line[indent:])
        elif match := _FENCE.match(line):
            indent, fence, language = len(match[1]), match[2], match[3]
            start, lines = number, []
        elif match := _COMMENT.fullmatch(line):
            comment = match[1], match[2]
        elif line.strip():
            comment = "", ""
            if match := re.match(r"##? (.+)", line):
                section = match[1]
    assert not fence, f"{name}, line {start}: the block does not end"
