"""Read the code blocks of a Markdown page, with the HTML comment above each.

<!-- not run: REASON -->    shown only
<!-- slow: REASON -->       run with the slow tests
<!-- file: PATH -->         written to this file, which other blocks of the page read
<!-- read: PATH -->         what the reader says and finds in this file of the page
<!-- prints: NOTE -->       what the Python block above prints
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(\s*)(```+)\s*([\w-]*)")
_COMMENT = re.compile(r"\s*<!--\s*([\w ]+):\s*(.*?)\s*-->\s*")
MARKS = ("not run", "slow", "file", "read", "prints")


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: Path of the page, relative to the root.
        line: Line of the opening fence.
        section: The last heading of first or second level above it.
        language: What the fence names.
        text: The content.
        mark: One of `MARKS`, from the comment above it, or empty.
        note: What follows the mark: a reason or a path.
    """

    page: str
    line: int
    section: str
    language: str
    text: str
    mark: str = ""
    note: str = ""


def blocks(page: Path, root: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    name, section, comment, fence = page.relative_to(root).as_posix(), "", ("", ""), ""
    start, indent, language, lines = 0, 0, "", []
    for line_number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if fence:
            if line.strip() == fence:
                yield Block(name, start, section, language, "\n".join(lines) + "\n", *comment)
                fence, comment = "", ("", "")
            else:
                lines.append(line[indent:])
        elif match := _FENCE.match(line):
            indent, fence, language = len(match[1]), match[2], match[3]
            start, lines = line_number, []
        elif match := _COMMENT.fullmatch(line):
            comment = match[1], match[2]
        elif line.strip():
            comment = "", ""
            if match := re.match(r"##? (.+)", line):
                section = match[1]
    assert not fence, f"{name}, line {start}: the block does not end"
