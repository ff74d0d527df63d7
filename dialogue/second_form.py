"""Find a conversation in another form behind the last turn: two files joined to one."""

from collections.abc import Callable
from itertools import islice

from ..errors import DataFormatError, EmoNetError
from ..files.text import short
from .reading import Reading
from .scripts.heads import EMPHASISED, HEADING, STAMP_BEHIND, STAMPED, parse_head, undress
from .scripts.names import Likeness, is_chat_role

_MOST_LINES = 200  # of the end that are read once more
_MOST_STARTS = 8  # lines at which it may begin
_MARKED = {STAMPED, STAMP_BEHIND, EMPHASISED, HEADING}
# Forms that lines of a message may have by chance, such as a list: `Milk: two`.
_WEAK = frozenset(
    (
        "script",
        "`Name - text` lines",
        "columns of names and texts",
        "names above texts",
        "names in brackets",
        "play",
        "text without names",
        "text with time stamps and without names",
        "one turn without a name",
    )
)


def refuse_second_form(text: str, name: str, found: Reading, read: Callable[[str], Reading]) -> None:
    """Refuse a text whose last turn holds a conversation.

    There, somebody speaks twice, or two turns are in a form that lines of a text do not
    have by chance, or by people of the text. What a language model writes is text,
    whatever it looks like.

    Args:
        text: The text.
        name: Its file name, for messages.
        found: What was read from it.
        read: Reads a part of it.

    Raises:
        DataFormatError: naming the line at which the other conversation may begin.
    """
    if not found.conversations or not found.conversations[-1].turns:
        return
    if all(map(is_chat_role, found.speakers)):
        return
    lines = text.splitlines()
    first = _first_line_of(lines, found.conversations[-1].turns[-1]["text"])
    if (number := _marked_names(lines[first:])) is not None:
        raise _two_forms(name, first + number, lines[first + number], "script", found.form)
    starts = (index for index in range(first, len(lines)) if lines[index].strip())
    for start in islice(starts, _MOST_STARTS):
        try:
            other = read("\n".join(lines[start : start + _MOST_LINES]))
        except EmoNetError:
            continue
        turns = sum(other.speakers.values())
        known = sum(count for speaker, count in other.speakers.items() if speaker in found.speakers)
        certain = 1 < len(other.speakers) < turns or other.form not in _WEAK or known > 1
        if turns > 1 and certain:
            raise _two_forms(name, start, lines[start], other.form, found.form)


def _two_forms(name: str, index: int, line: str, other: str, form: str) -> DataFormatError:
    return DataFormatError(
        f"{name}, line {index + 1}: {short(line.strip())} may begin a {other}, or belong"
        f" to the turn before, as the file is a {form}. Put the two into files of their own, "
        "or join the lines to one."
    )


def _marked_names(lines: list[str]) -> int | None:
    """The first of three names or more with times or in bold, of which one returns."""
    found: list[tuple[int, str]] = []
    for index, line in enumerate(lines[:_MOST_LINES]):
        head = parse_head(*undress(line.strip()))
        if head and not _MARKED.isdisjoint(head.dress) and head.likeness >= Likeness.NAME:
            found.append((index, head.key))
    returns = len({key for _, key in found}) < len(found)
    return found[0][0] if len(found) > 2 and returns else None


def _first_line_of(lines: list[str], text: str) -> int:
    """The first line that is in a turn whole, of those at the end."""
    rest = "".join(text.split())
    first = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        line = "".join(lines[index].split())
        if line and rest.endswith(line):
            rest, first = rest[: len(rest) - len(line)], index
        elif line.endswith(rest):  # it began the turn; others were left out
            break
    return first
