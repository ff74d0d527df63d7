"""Refuse names that may be none: those of one line, and those that count turns."""

import re
from collections import Counter
from itertools import pairwise

from ...errors import DataFormatError
from ...files.text import short
from ..names import is_role
from .heads import STAMP_BEHIND, Head
from .lines import Line
from .names import TITLES, Likeness, likeness

_ENDS = tuple(".!?…。！？)]\"”»'’*-–—")  # of a finished sentence
_FIELDS = frozenset(("speaker", "name", "sprecher", "hablante", "locuteur"))  # of a record
_CLOCK_CUT = re.compile(r"(?:\s\s|,\s)\d{1,2}:$")
_CUT_WORD = re.compile(r" \w{1,2}$")  # `Anna v`, where the file is cut off
_DIGITS = re.compile(r"\d{1,9}")


def refuse_doubtful_names(lines: list[Line], heads: dict[int, Head], name: str) -> None:
    """Refuse `Star Wars: A New Hope` within a turn, and `John 3:16: For …` alone.

    A name with nothing but a colon that occurs once is doubtful where the line above it
    announces it or breaks off, where blank lines set all other turns apart, or where two
    people who have one word for a name talk in turns otherwise. Written as
    `[Star Wars]: …` it is a speaker.

    Args:
        lines: The lines of the text.
        heads: The heads of turns, by index of the line.
        name: The name of the file, for messages.

    Raises:
        DataFormatError: naming the line and its two readings.
    """
    if len(heads) == 1:
        index, head = next(iter(heads.items()))
        if head.dress == STAMP_BEHIND and len(lines) == 1 and not lines[index].text.endswith(":"):
            raise _unclear(name, lines[index], head, "at that time", "the line is one text without a name")
        if len(lines) == 1 and not head.text and _CLOCK_CUT.search(lines[0].text):
            raise _unclear(name, lines[0], head, "once", "the line is cut off within a time")
        if head.key in _FIELDS and _may_be_name(head.text):
            raise _unclear(name, lines[index], head, "once", f"{head.text or 'what follows'} is the speaker")
        return
    counts = Counter(head.key for head in heads.values())
    if sum(count for count in counts.values() if count > 1) < 4 or sum(n > 1 for n in counts.values()) < 2:
        return
    order = sorted(heads)
    for position, index in enumerate(order[1:], 1):
        head = heads[index]
        if head.dress or head.bracket or counts[head.key] > 1 or not _may_be_none(head):
            continue
        if (
            _is_announced(lines, heads, index)
            or _is_within(lines, heads, index)
            or _is_title([heads[at].key for at in order], position)
        ):
            raise _unclear(name, lines[index], head, "once", "the line belongs to the turn before")


def refuse_counting_names(lines: list[Line], heads: dict[int, Head], name: str) -> None:
    """Refuse `Anna [1]: …`, `Ben [2]: …`: whose number counts the turns, not the people.

    Raises:
        DataFormatError: naming the first line and its two readings.
    """
    names = [f"{head.name} {head.bracket}".strip() for _, head in sorted(heads.items())]
    numbers = [_DIGITS.findall(found) for found in names]
    if len(names) < 3 or any(len(found) != 1 for found in numbers) or all(map(is_role, names)):
        return
    counts = [int(found[0]) for found in numbers]
    without = [_DIGITS.sub("", found).casefold() for found in names]
    if len(set(without)) < len(without) and all(after == before + 1 for before, after in pairwise(counts)):
        line = lines[min(heads)]
        raise DataFormatError(
            f"{name}, line {line.number}: {short(line.text)}: the numbers in the names count up from turn to "
            f"turn: either {names[0]!r} speaks once, or the number is the turn's; write it before the name "
            "(`1. Anna: …`), or leave it out."
        )


def _may_be_name(text: str) -> bool:
    """Whether a text may be the name that a field holds: `Speaker: Anna Bell`."""
    words = text.rstrip(".").casefold()
    if words in ("", *TITLES):
        return True
    return text[-1].isalnum() and likeness(_CUT_WORD.sub("", text)) >= Likeness.NAME


def _may_be_none(head: Head) -> bool:
    """Whether nothing in a name says that it is a person's or a role's."""
    words = head.key.replace(".", " ").split()
    return head.likeness < Likeness.LABEL and words[0] not in TITLES and not is_role(head.name)


def _is_announced(lines: list[Line], heads: dict[int, Head], index: int) -> bool:
    """Whether the line above ends with a colon, or breaks off as no other does."""
    above = lines[index - 1].text
    if above.endswith((":", "：")) and not (index - 1 in heads and not heads[index - 1].text):
        return True
    if above.endswith(_ENDS):
        return False
    others = [lines[at - 1].text for at in heads if at not in (0, index)]
    return len(others) > 2 and all(text.endswith(_ENDS) for text in others)


def _is_within(lines: list[Line], heads: dict[int, Head], index: int) -> bool:
    """Whether blank lines stand before all other turns, not before this one."""
    if lines[index].after_blank:
        return False
    return all(lines[at].after_blank for at in heads if at not in (0, index, min(heads)))


def _is_title(keys: list[str], position: int) -> bool:
    """Whether two people with names of one word take turns, but for this name of more."""
    others = keys[:position] + keys[position + 1 :]
    in_turn = all(one != other for one, other in pairwise(others))
    simple = all(" " not in key for key in others)
    return " " in keys[position] and simple and len(set(others)) == 2 and in_turn


def _unclear(name: str, line: Line, head: Head, when: str, other: str) -> DataFormatError:
    return DataFormatError(
        f"{name}, line {line.number}: {short(line.text)} is unclear: either {head.name} speaks {when}, or "
        f"{other}; write `[{head.name}]: …` for a speaker, or join the line to the one before."
    )
