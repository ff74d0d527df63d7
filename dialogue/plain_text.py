"""Read plain text: a name on each turn, in any of the forms in which people write it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from ..files.text import short
from .heads import STAMPED, Head
from .reading import UNKNOWN, Conversation, Reading
from .script_forms import Plan, find_heads, unclear
from .script_lines import Kind, Line, script_lines
from .speaker_names import is_note

# How something is said or seen, beside a name; other brackets may be part of the name.
_REMARK = re.compile(
    r"[(\[（](?:.*(?:ing|ly|ed|end)\b.*|(?:to|on|in|at|off|from|over|under|aside|beat|pause|laughs?|sighs?|cries"
    r"|whispers?|shouts?|smiles?|nods?|lacht|seufzt|flüstert|ruft|leise|laut|rit|笑)\b.*)[)\]）]",
    re.IGNORECASE,
)
_PRODUCTION = re.compile(r"[(\[](?:CONT['’]?D\.?|CONTINUED|CONTINUING|V\.?O\.?|O\.?S\.?|O\.?C\.?)[)\]]", re.I)


def read(text: str, name: str) -> Reading:
    """Read the turns of a plain text.

    A turn begins with a name: before a colon, alone above its text, or before a dash or
    full stop where all lines have one. Stamps, bullets, numbers, quote signs and emphasis
    around it are cut. A line without a name belongs to the turn before. Blank lines part
    dialogues where some part has more than one turn.

    Args:
        text: The text.
        name: The name of the file, for messages.

    Raises:
        DataFormatError: naming the line and its two readings, where it is unclear who
            speaks.
    """
    lines = script_lines(text)
    if not lines:
        return Reading("script", [])
    return _assemble(lines, find_heads(lines, name), name)


# -- turns and dialogues


def _assemble(lines: list[Line], plan: Plan, name: str) -> Reading:
    """Put the turns together, and say what was left out."""
    first = min(plan.heads)
    _check_beginning(lines, plan, first, name)
    resolve = _brackets_resolver(plan.heads.values())
    counts: Counter[str] = Counter()
    sections: list[list[list[dict[str, str]]]] = []
    directions: list[str] = []  # of the turn at hand
    loose: Line | None = None  # a line without a name behind a blank line
    gap, previous = "section", -1

    def end_turn() -> None:
        if directions and not sections[-1][-1][-1]["text"]:
            sections[-1][-1][-1]["text"] = " ".join(directions)
        else:
            counts["direction"] += len(directions)
        directions.clear()

    for index, line in enumerate(lines):
        if index < first or index in plan.action:
            counts["before" if index < first else "action"] += line.kind is not Kind.STAMP
            continue
        if line.after_blank and gap == "":
            gap = "blank"
        if index in plan.heads:
            if sections:
                end_turn()
            head = plan.heads[index]
            speaker, text = resolve(head)
            turn = {"speaker": speaker, "text": text}
            if gap == "section":
                sections.append([[turn]])
            elif gap == "blank":
                sections[-1].append([turn])
            else:
                sections[-1][-1].append(turn)
            gap, previous = "", index
        elif line.kind in (Kind.RULE, Kind.SECTION):
            counts["section"] += 1
            gap = "section"
        elif line.kind is Kind.FURNITURE:
            counts["furniture"] += 1
        elif line.kind is Kind.STAMP:
            gap = "stamp" if gap != "section" else gap
        elif line.kind is Kind.DIRECTION:
            directions.append(line.text)
        else:
            if gap == "section" or (line.stamped and STAMPED in plan.heads[previous].dress):
                raise unclear(
                    name,
                    line,
                    "names no speaker",
                    "it belongs to the turn before",
                    "somebody else speaks",
                    f"write `{plan.heads[previous].name}: …` or `{UNKNOWN}: …`",
                )
            if gap == "blank" and sections[-1][-1][-1]["text"]:
                loose = loose or line
            gap = "" if gap == "blank" else gap
            turn = sections[-1][-1][-1]
            counts["continued"] += bool(turn["text"])
            turn["text"] = f"{turn['text']} {line.text}".strip()
    end_turn()
    return _reading(lines, plan, sections, counts, loose, name)


def _check_beginning(lines: list[Line], plan: Plan, first: int, name: str) -> None:
    """Refuse a text that begins with something that may be a turn, and is no title."""
    for index, line in enumerate(lines[:first]):
        if line.kind is not Kind.TEXT or (line.head is not None and is_note(line.head.name)):
            continue
        below = lines[index + 1]
        before_colon = re.split("[:：]", line.text[:100])[0]
        title = (line.text[-1] not in ".!?…,;。！？" and len(line.text) <= 100) or "otter.ai" in line.text
        apart = any(
            lines[later].after_blank or lines[later].kind is Kind.STAMP
            for later in range(index + 1, first + 1)
        )
        if is_note(before_colon) or (title and (apart or below.kind is Kind.STAMP)):
            continue
        raise unclear(
            name,
            line,
            "stands before the first speaker",
            "it is a title",
            "somebody speaks it",
            "begin a title with #, write a turn as `Name: text`",
        )


def _brackets_resolver(heads: Iterable[Head]) -> Callable[[Head], tuple[str, str]]:
    """Make the function that says where the brackets beside a name belong.

    `Anna (laughing): We won!` is Anna's `(laughing) We won!`. `Ben (host)` is a name
    where Ben never stands without it. `(CONT'D)` is neither.
    """
    without = {head.key for head in heads if not head.bracket}

    def resolve(head: Head) -> tuple[str, str]:
        bracket = _PRODUCTION.sub("", head.bracket).strip()
        if not bracket:
            return head.name, head.text
        if head.key in without or _REMARK.fullmatch(bracket):
            return head.name, f"{bracket} {head.text}".strip()
        return f"{head.name} {bracket}", head.text

    return resolve


def _reading(
    lines: list[Line],
    plan: Plan,
    sections: list[list[list[dict[str, str]]]],
    counts: Counter[str],
    loose: Line | None,
    name: str,
) -> Reading:
    """Part the dialogues, and write the notes."""
    parted = any(len(part) > 1 for section in sections for part in section)
    several = any(len(section) > 1 for section in sections)
    if parted and several and loose is not None:
        raise unclear(
            name,
            loose,
            "follows a blank line and names no speaker",
            "it belongs to the turn before",
            "it begins a dialogue",
            "delete the blank line, or write `Name: text`",
        )
    if not parted:
        sections = [[[turn for part in section for turn in part]] for section in sections]
    dialogues = [part for section in sections for part in section]
    notes = ["blank lines are double spacing"] if several and not parted else []
    notes += [
        f"{count} {what if count == 1 else several_of}"
        for key, what, several_of in (
            (
                "continued",
                "line without a name joined to its turn",
                "lines without a name joined to their turns",
            ),
            ("direction", "stage direction left out", "stage directions left out"),
            ("section", "heading left out", "headings left out"),
            ("before", "line before the first speaker left out", "lines before the first speaker left out"),
            ("action", "line of action left out", "lines of action left out"),
            ("furniture", "line of the program left out", "lines of the program left out"),
        )
        if (count := counts[key])
    ]
    notes += [
        f"line {lines[index].number} ({short(lines[index].text)}) read as text" for index in plan.joined
    ]
    return Reading(
        plan.form, [Conversation(str(index), turns) for index, turns in enumerate(dialogues)], notes
    )
