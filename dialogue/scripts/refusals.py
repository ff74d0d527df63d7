"""Refuse texts with lines that may be turns or texts, as where a file is cut off."""

import re

from ...errors import DataFormatError
from .heads import ABOVE, BARE, BRACKETED, EMPHASISED, STAMP_BEHIND, Plan, cue, undress
from .lines import Kind, Line, unclear
from .separators import TIMES_ALONE

_DIGIT = re.compile(r"\d")


def refuse_two_readings(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse a text with lines that the plan may have read wrongly.

    Args:
        lines: The lines of the text.
        plan: Which of them begin turns.
        name: The name of the file, for messages.

    Raises:
        DataFormatError: naming the line and its two readings.
    """
    for check in (
        _refuse_names_beside_stamps,
        _refuse_some_names_beside_stamps,
        _refuse_names_without_colons,
        _refuse_colon_below_name,
        _refuse_headings,
        _refuse_times_without_text,
        _refuse_cut_name,
        _refuse_cut_stamp,
    ):
        check(lines, plan, name)


def _refuse_names_beside_stamps(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse names beside all times, of which the plan takes some for texts."""
    for beside in (-1, 1):
        stamps = _stamps(lines)
        if beside < 0 and lines[-1].kind is Kind.STAMP:
            stamps.append(len(lines) - 1)
        names = [
            index + beside for index in stamps if index + beside >= 0 and _may_name(lines[index + beside])
        ]
        unread = [index for index in names if index not in plan.heads]
        if len(names) == len(stamps) > 1 and not unread:
            return
        if len(names) == len(stamps) > 1 and not lines[stamps[0] + max(beside, 0)].after_blank:
            raise _no_name(lines[unread[0]], "stands beside a time, as a line does at every time", name)


def _refuse_some_names_beside_stamps(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse names beside several times where other times have none, or have names."""
    stamps = _stamps(lines)
    above = [
        index - 1
        for index in stamps
        if index and index - 1 not in plan.heads and _may_name(lines[index - 1])
        if not lines[index].after_blank and not lines[index + 1].after_blank
    ]
    # Without other names, a word such as `Exactly` is text, unless the file begins so.
    is_name = plan.form != TIMES_ALONE or above[:1] == [0]
    if 1 < len(above) < len(stamps) and is_name:
        raise _no_name(lines[above[0]], "stands above a time, as other lines do", name)
    below = [
        index + 1
        for index in stamps
        if index + 1 not in plan.heads and _may_name(lines[index + 1]) and not lines[index + 1].after_blank
        if index + 2 == len(lines) or not lines[index + 2].after_blank
        if not ((head := plan.heads.get(index - 1)) and head.above)
    ]
    has_names_below = any(head.above and index - 1 in stamps for index, head in plan.heads.items())
    if len(below) > (0 if has_names_below else 1) and plan.form != TIMES_ALONE:
        raise _no_name(lines[below[0]], "stands below a time, as names do", name)


def _refuse_names_without_colons(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse `**Anna**` and `[0:03] Anna` above texts that the plan takes for texts."""
    dresses = {head.dress for head in plan.heads.values()}
    bold = []
    for index, line in enumerate(lines[:-1]):
        if index in plan.heads or index < min(plan.heads) or line.kind is not Kind.TEXT:
            continue
        if line.stamped and line.head is not None and line.head.above and line.head.dress in dresses:
            raise _no_name(line, "begins as other turns do", name)
        dress, rest = undress(line.text)
        if dress == EMPHASISED and line.text[-1] in "*_" and cue(rest) and not lines[index + 1].after_blank:
            bold.append(line)
    if len(bold) > (0 if EMPHASISED + ABOVE in dresses else 1):
        raise _no_name(bold[0], "is set apart, as other lines are", name)


def _stamps(lines: list[Line]) -> list[int]:
    """The times on lines of their own above other lines, by index."""
    return [index for index, line in enumerate(lines[:-1]) if line.kind is Kind.STAMP]


def _may_name(line: Line) -> bool:
    return line.kind is Kind.TEXT and cue(line.text) is not None


def _no_name(line: Line, what: str, name: str) -> DataFormatError:
    speaker = undress(line.text)[1]
    remedy = "write `Name: text`, or join the lines of each text"
    return unclear(name, line, what, f"{speaker} speaks", "it is text", remedy)


def _refuse_colon_below_name(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse a name alone above `Great: yes.`, which may be its text."""
    heads = plan.heads
    alone = [index for index, head in heads.items() if not head.text and lines[index].text[-1] in ":："]
    with_text = sum(index + 1 < len(lines) and index + 1 not in heads for index in alone)
    for index, head in heads.items():
        below = heads.get(index + 1)
        if not below or head.text or below.dress not in ("", BRACKETED + BARE):
            continue
        if below.key == head.key or (not head.above and lines[index + 1].after_blank):
            continue
        if head.above or len(heads) == 2 or (index in alone and with_text):
            raise unclear(
                name,
                lines[index + 1],
                f"stands below {head.name}, who says nothing else",
                f"{below.name} speaks",
                f"{head.name} says the line",
                "write `Name: text`",
            )


def _refuse_times_without_text(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse `[Anna] 12:30` without a text below it: the time may be the text."""
    for index, head in plan.heads.items():
        if head.dress != BRACKETED + STAMP_BEHIND + ABOVE:
            continue
        if index + 1 == len(lines) or index + 1 in plan.heads or lines[index + 1].kind is Kind.STAMP:
            raise unclear(
                name,
                lines[index],
                "has no text but a time",
                f"{head.name} says the time",
                f"{head.name} says nothing at that time",
                "write `Name: text`, or delete the line",
            )


def _refuse_cut_name(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse a last line that is a new name without a text, as in a file cut off."""
    last = len(lines) - 1
    head, above = plan.heads.get(last), plan.heads.get(last - 1)
    if head is None or head.text:
        return
    others = [other.key for index, other in plan.heads.items() if index != last]
    below_name = not above.text if above else lines[-2:][0].text.startswith("#")
    if others and head.key not in others and (head.above or head.key.isdigit() or below_name):
        raise unclear(
            name,
            lines[-1],
            "is the last line",
            f"{head.name} speaks, and says nothing",
            "the file is cut off within a name",
            "delete the line, or write what is said below it",
        )


def _refuse_headings(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse turns that all stand below headings which may be names: `### Anna`."""
    keys = [head.key for head in plan.heads.values()]
    below = [index for index in plan.heads if index and lines[index - 1].text.startswith("#")]
    names = [undress(lines[index - 1].text)[1] for index in below if not lines[index].after_blank]
    dress = plan.heads[below[0]].dress if below else None
    if (
        len(names) == len(keys)
        and (len(keys) == len(set(keys)) or dress == BRACKETED + BARE)
        and all(map(cue, names))
        and dress in ("", BRACKETED + BARE)
    ):
        raise unclear(
            name,
            lines[below[0]],
            f"stands below the heading {names[0]!r}",
            f"{plan.heads[below[0]].name} speaks",
            f"{names[0]} says the line",
            "write `Name: text`, or put a blank line below the heading",
        )


def _refuse_cut_stamp(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse a last line that begins as the times on lines of their own do."""
    shape = _DIGIT.sub("0", lines[-1].text)
    above = plan.heads.get(len(lines) - 2)
    if lines[-1].kind is not Kind.TEXT or "0" not in shape or (above is not None and not above.text):
        return  # it is no time, or all that is said
    if any(_DIGIT.sub("0", lines[index].text).startswith(shape) for index in _stamps(lines)):
        raise unclear(
            name,
            lines[-1],
            "is the last line",
            "it is the beginning of a time, where the file is cut off",
            "it belongs to the turn before",
            "delete the line, or join it to the one above",
        )
