"""Find the lines that begin a turn, in the forms in which people write conversations."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ..reading import UNKNOWN
from ..stamps import is_stamp
from .heads import (
    ABOVE,
    ADDRESSED,
    BARE,
    BRACKETED,
    COLON_ABOVE,
    DOTTED,
    EMPHASISED,
    HEADING,
    LISTED,
    SAYS,
    STAMP_AFTER_COLON,
    STAMP_BEHIND,
    STAMPED,
    Head,
    Plan,
    cue,
    plain,
    question_or_answer,
    undress,
)
from .lines import Kind, Line, is_screenplay, unclear
from .names import Likeness, is_chat_role
from .one_off import refuse_counting_names, refuse_doubtful_names
from .separators import (
    names_before_separators,
    names_in_brackets,
    sentences,
    times_without_names,
    without_names,
)

MEETING_CHAT = "meeting chat"
_NUMBER = re.compile(r"\D{0,3}\d+")  # the beginning of a time rather than a name
_MARKED = {STAMPED, STAMP_BEHIND, HEADING, EMPHASISED, ADDRESSED}  # a name above its text


def find_heads(lines: list[Line], name: str) -> Plan:
    """Find the lines that begin a turn.

    Args:
        lines: The lines of a text, at least one.
        name: The name of the file, for messages.

    Raises:
        DataFormatError: naming a line that may be read in two ways.
    """
    forms = (
        *(_names_above, names_in_brackets, names_before_separators, times_without_names),
        *(_names_before_colons, without_names, sentences),
    )
    for form in forms:
        if plan := form(lines, name):
            return plan
    first = next((line for line in lines if line.kind is Kind.TEXT), lines[0])
    raise unclear(
        name,
        first,
        "names no speaker, and neither does any other line",
        "every line is a turn",
        "all lines are one turn",
        f"write `Name: text` (`{UNKNOWN}: text` for an unknown speaker), or put a single turn on one line",
    )


# -- names before a colon, or with a stamp on a line of their own


def _names_before_colons(lines: list[Line], name: str) -> Plan | None:
    candidates = _candidates(lines)
    first = _first_head(candidates)
    if first is None or (len(lines) == 1 and not candidates[0].text and _NUMBER.fullmatch(candidates[0].key)):
        return None
    if ADDRESSED in candidates[first].dress:  # messages are indented, whatever they hold
        candidates = {
            index: head
            for index, head in candidates.items()
            if ADDRESSED in head.dress or not lines[index].indented
        }
    counts = Counter(head.key for head in candidates.values())
    lower_case = _is_lower_case(candidates)
    accepted, known = {candidates[first].dress}, {candidates[first].key}

    def is_speaker(head: Head) -> bool:
        if head.key in known or (head.likeness is Likeness.LABEL and not head.above):
            return True
        if head.dress not in accepted and head.dress != BRACKETED and ADDRESSED not in head.dress:
            return False
        if head.likeness is Likeness.NICK:
            return head.certain or lower_case
        return head.likeness >= Likeness.NAME or (head.likeness is Likeness.PHRASE and counts[head.key] > 1)

    before = -1
    while before != len(known) + len(accepted):  # a speaker's other dresses are dresses too
        before = len(known) + len(accepted)
        for index, head in candidates.items():
            if index >= first and is_speaker(head):
                known.add(head.key)
                accepted.add(head.dress)
    heads = {index: head for index, head in candidates.items() if index >= first and is_speaker(head)}
    roles = {head.key for head in heads.values() if is_chat_role(head.key)}
    if len(roles) > 1 and is_chat_role(candidates[first].key):  # and what a model writes is text
        heads = {index: head for index, head in heads.items() if head.key in roles}
    for index, line in enumerate(lines):
        if index > first and index not in heads and line.head is None and line.text.startswith(">>"):
            heads[index] = Head(UNKNOWN, "", line.rest, "", Likeness.LABEL)
    plan = Plan(_form_name(heads.values()), heads)
    _check_others(lines, candidates, plan, name)
    refuse_doubtful_names(lines, heads, name)
    refuse_counting_names(lines, heads, name)
    return plan


def _candidates(lines: list[Line]) -> dict[int, Head]:
    """The heads of lines that may begin a turn, by index."""
    found = {index: line.head for index, line in enumerate(lines) if line.head is not None}
    dotted = {index: head for index, head in found.items() if head.dress.endswith(DOTTED)}
    pair = len({head.name for head in dotted.values()}) == 2
    if pair:  # then `A. Home: alone.` is an answer too
        dotted |= {
            index: head
            for index, line in enumerate(lines)
            if line.kind is Kind.TEXT and (head := question_or_answer(*undress(line.text)))
        }
    for index, head in dotted.items():  # `Q.` and `A.` stand for `Q:` and `A:`
        if pair:
            found[index] = replace(head, dress=head.dress.removesuffix(DOTTED))
        else:
            del found[index]
    counts = Counter(head.key for head in found.values())
    above = [index for index, head in found.items() if head.above]
    alone = {index for index, head in found.items() if head.above or head.dress.endswith(COLON_ABOVE)}
    elsewhere = Counter(  # names of lines that stand below no name
        head.key for index, head in found.items() if index - 1 not in alone or lines[index].after_blank
    )
    headings = Counter(found[index].key for index in above if HEADING in found[index].dress)
    plainly = {index for index in above if _has_text_below(lines, index, found[index])}
    dresses = {found[index].dress for index in plainly}
    for index in above:  # `Great: yes.` is text below a name whose like have texts below
        likely = found[index].dress in dresses and _has_text_below(lines, index, found[index], counts)
        said = found.get(index + 1)
        dress = found[index].dress
        returns = HEADING in dress and (dress in dresses or headings[found[index].key] > 1)
        likely = likely or (returns and said is not None and not said.dress and not elsewhere[said.key])
        is_cut = index + 1 == len(lines) and dress in dresses  # before its text
        if index not in plainly and not likely and not is_cut:
            del found[index]
    for index in sorted(alone):  # `Great: yes.` directly below is what is said
        head, text = found.get(index), found.get(index + 1)
        marked = head is not None and not _MARKED.isdisjoint(head.dress)
        in_brackets = text and text.dress == BRACKETED + BARE and head and BRACKETED not in head.dress
        if marked and text and (in_brackets or (not text.dress and not elsewhere[text.key])):
            del found[index + 1]
    _add_names_between_stamps(lines, found)
    _take_stamps_behind_colons(lines, found)
    _take_times_behind_brackets(lines, found)
    empty = [index for index, head in found.items() if head.dress.endswith(COLON_ABOVE)]
    if _begin_paragraphs(lines, found, empty):
        return {index: found[index] for index in empty}
    below = [index for index in empty if index + 1 < len(lines) and index + 1 not in found]
    # `Great: yes.` below a name is its text, where other names have texts below too.
    like_turns = [
        index
        for index in empty
        if index + 1 in found and index + 1 not in empty and counts[found[index + 1].key] == 1
    ]
    with_text = sum(not head.dress.endswith((COLON_ABOVE, ABOVE)) for head in found.values())
    if below and 2 * (len(below) + len(like_turns)) > max(with_text - len(like_turns), 2):
        for index in like_turns:
            del found[index + 1]
    else:  # texts stand behind the colons
        found.update((index, plain(found[index])) for index in empty)
    return found


def _has_text_below(lines: list[Line], index: int, head: Head, counts: Counter[str] | None = None) -> bool:
    """Whether a name without a colon has what makes it a head: a stamp, or its text.

    With the counts of names, a text may begin with a word and a colon too.
    """
    if STAMP_BEHIND in head.dress:
        return len(lines) > 1  # `John 3:16` alone is no name
    if index + 1 == len(lines):
        return False
    below = lines[index + 1]
    set_apart = not {EMPHASISED, HEADING}.isdisjoint(head.dress)
    spaced = below.after_blank and not (
        set_apart or (STAMPED in head.dress and head.likeness >= Likeness.NAME)
    )
    is_text = below.head is None or (
        counts is not None
        and (
            below.head.dress == BRACKETED + BARE
            or below.head.likeness is Likeness.PHRASE
            or (below.head.dress in ("", ABOVE) and counts[below.head.key] == 1)
        )
    )
    if below.kind is Kind.STAMP:  # what is said, where no other line stands there
        return (set_apart or STAMPED in head.dress) and (
            index + 2 == len(lines) or lines[index + 2].after_blank
        )
    return below.kind in (Kind.TEXT, Kind.DIRECTION) and is_text and not below.stamped and not spaced


def _take_stamps_behind_colons(lines: list[Line], found: dict[int, Head]) -> None:
    """Take `Anna: 0:03` for a name with a stamp, where all turns begin so."""
    addressed = [index for index, head in found.items() if ADDRESSED in head.dress]
    spoken = addressed or [index for index, head in found.items() if not head.above]
    few = 1 if addressed else 2
    if len(spoken) < few or not all(is_stamp(found[index].text) for index in spoken):
        return
    if all(index + 1 < len(lines) and index + 1 not in found for index in spoken):
        for index in spoken:
            head = found[index]
            found[index] = replace(head, text="", dress=head.dress + STAMP_AFTER_COLON + COLON_ABOVE)


def _take_times_behind_brackets(lines: list[Line], found: dict[int, Head]) -> None:
    """Take `[spk_0] 12:30` for a turn where others have their text behind the bracket."""
    if not any(head.dress == BRACKETED + BARE for head in found.values()):
        return
    for index, head in found.items():
        if head.dress == BRACKETED + STAMP_BEHIND + ABOVE and not _has_more_below(lines, index, found):
            found[index] = replace(
                head, text=lines[index].rest.split("]")[-1].strip(), dress=BRACKETED + BARE
            )


def _has_more_below(lines: list[Line], index: int, found: dict[int, Head]) -> bool:
    return index + 1 < len(lines) and index + 1 not in found


def _begin_paragraphs(lines: list[Line], found: dict[int, Head], empty: list[int]) -> bool:
    """Whether a name and a colon stand alone on top of every paragraph."""
    names = set(empty)
    others = [index for index in found if index not in names]
    return (
        len(names) > 1
        and all(index == 0 or lines[index].after_blank for index in names)
        and all(index - 1 in names and not lines[index].after_blank for index in others)
        and all(index in names or not line.after_blank for index, line in enumerate(lines))
    )


def _add_names_between_stamps(lines: list[Line], found: dict[int, Head]) -> None:
    """Add names that stand between a stamp and their text, or above a stamp."""
    times = {index for index, line in enumerate(lines) if line.kind is Kind.STAMP}
    said = {index for index in times if index - 1 in times and index - 2 not in times}
    stamps = sorted(times - said)
    cut = stamps.pop() if len(stamps) > 2 and stamps[-1] == len(lines) - 1 else None
    above: dict[int, Head] = {}
    below: dict[int, Head] = {}
    counts = Counter(head.key for head in found.values())
    likely = {key for key, count in counts.items() if count > 1}
    like_turns = False  # whether texts below a stamp may as well be turns
    for index in stamps:
        for other, heads in ((index - 1, above), (index + 1, below)):
            follows = max(index, other) + 1
            if not 0 <= other < len(lines) or follows >= len(lines) or lines[max(index, other)].after_blank:
                continue
            name = lines[other]
            may_name = name.kind is Kind.TEXT and other not in found and not name.text.isdigit()
            may_name = may_name and not name.stamped
            head = cue(name.text, Likeness.NICK) if may_name else None
            text = lines[follows]
            if text.head is not None and (text.head.above or text.head.dress not in ("", BRACKETED + BARE)):
                continue
            is_text = text.kind in (Kind.TEXT, Kind.DIRECTION) or follows in said
            if head and is_text and not text.after_blank:
                heads[other] = replace(head, dress=STAMP_BEHIND + ABOVE)
                like_turns |= text.head is not None and text.head.key in likely
    for heads in (above, below):
        names = [head.key for head in heads.values()]
        if not _may_be_nicks(heads.values()):
            continue
        if (len(heads) == len(stamps) > 1 and len(set(names)) < len(names)) or (
            heads and len(heads) == len(stamps) and heads is above and not below and not like_turns
        ):
            found.update(heads)
            for index in heads:  # `Great: yes.` below them is text
                found.pop(index + 1 + (heads is above), None)
            if cut and heads is above and (head := cue(lines[cut - 1].text)):
                found[cut - 1] = replace(head, dress=STAMP_BEHIND + ABOVE)
            for index in said:
                lines[index].kind, lines[index].stamped = Kind.TEXT, False
            return


def _may_be_nicks(heads: Iterable[Head]) -> bool:
    """Whether names in lower case among them return: `yes` alone is no name."""
    counts = Counter(head.key for head in heads)
    nicks = [head for head in heads if head.likeness is Likeness.NICK]
    return not nicks or (len(counts) > 1 and len(counts) < counts.total())


def _first_head(candidates: dict[int, Head]) -> int | None:
    """The first line that certainly has a speaker, given all of the text."""
    counts = Counter(head.key for head in candidates.values())
    lower_case = _is_lower_case(candidates)
    for index, head in candidates.items():
        if head.likeness >= Likeness.NAME:
            return index
        if head.likeness is Likeness.NICK and (lower_case or head.certain):
            return index
        if head.likeness is Likeness.PHRASE and counts[head.key] > 1:
            return index
    return None


def _is_lower_case(candidates: dict[int, Head]) -> bool:
    """Whether names are written in lower case."""
    likely = [head for head in candidates.values() if head.likeness >= Likeness.NICK]
    nicks = [head for head in likely if head.likeness is Likeness.NICK]
    numbers = [head.key for head in nicks if head.key.isdigit()]
    if len(numbers) > 1 and len(numbers) == len(set(numbers)):
        return False  # they count lines
    lower = sum(not head.name[:1].isupper() for head in likely)
    return bool(nicks) and lower == len(likely) and likely[0] is next(iter(candidates.values()))


def _form_name(heads: Iterable[Head]) -> str:
    dresses = "".join(head.dress for head in heads)
    if ADDRESSED in dresses:
        return MEETING_CHAT
    stamps = " with time stamps" if {STAMPED, STAMP_BEHIND, "c"} & set(dresses) else ""
    return ("names above texts" if dresses.count(ABOVE) + dresses.count(COLON_ABOVE) else "script") + stamps


def _check_others(lines: list[Line], candidates: dict[int, Head], plan: Plan, name: str) -> None:
    """Refuse other lines that look like turns of further speakers.

    The first line below a name is text, a list that a colon announces too, and in a chat
    with a language model all that is no turn of one of the two.
    """
    roles = {head.key for head in plan.heads.values()}
    if len(roles) > 1 and all(map(is_chat_role, roles)):
        return
    counts = Counter(head.key for head in candidates.values())
    bare = any(BARE in head.dress for head in plan.heads.values())
    first = min(plan.heads)
    listed: set[int] = set()
    for index, head in candidates.items():
        if (
            index in plan.heads
            or index < first
            or SAYS in head.dress
            or (BARE in head.dress and not bare)
            or (head.above and {STAMPED, STAMP_BEHIND}.isdisjoint(head.dress))
        ):
            continue
        above = plan.heads.get(index - 1)
        if above is not None and not above.text:
            continue
        if LISTED in head.dress and (index - 1 in listed or lines[index - 1].text[-1] in ":："):
            listed.add(index)
        elif head.likeness >= Likeness.NAME or (head.likeness is Likeness.NICK and counts[head.key] > 1):
            raise unclear(
                name,
                lines[index],
                "may name a speaker, unlike the lines around it",
                f"{head.name} speaks",
                "the line belongs to the turn before",
                "write all turns alike, or put each turn on one line",
            )


# -- names on lines of their own, without stamps


def _names_above(lines: list[Line], name: str) -> Plan | None:
    """Names above their texts: capitals as in screenplays, or one in every paragraph."""
    starts = [
        index
        for index, line in enumerate(lines)
        if (index == 0 or line.after_blank or lines[index - 1].kind is not Kind.TEXT)
        and line.kind is Kind.TEXT
    ]
    cues: dict[int, Head] = {}
    for index in starts:
        below = lines[index + 1] if index + 1 < len(lines) else None
        if (
            below
            and not below.after_blank
            and (below.kind in (Kind.TEXT, Kind.DIRECTION) or _is_said(lines, index + 1))
            and (below.kind is Kind.STAMP or not below.stamped)
        ):
            own = lines[index].head
            if (own is None or own.dress == ABOVE) and (head := cue(lines[index].text)):
                cues[index] = head
    capitals = {
        index: head for index, head in cues.items() if head.name == head.name.upper() != head.name.lower()
    }
    colons = sum(
        line.head is not None and not line.head.above and line.head.likeness >= Likeness.NAME
        for line in lines
    )
    if is_screenplay(lines) and capitals and len(capitals) > colons:
        spoken = _paragraphs(lines, capitals)
        action = {index for index, line in enumerate(lines) if line.kind is Kind.TEXT and index not in spoken}
        return Plan("screenplay", capitals, action)
    for found in (capitals, cues):
        keys = [head.key for head in found.values()]
        sure = (
            found is capitals
            or len(set(keys)) < len(keys)
            or all(head.likeness is Likeness.LABEL for head in found.values())
        )
        if len(found) > 1 and len(found) == len(starts) and sure and len(found) > colons:
            return Plan("names above texts", found)
    if len(capitals) > 1 and len(capitals) > colons and min(capitals) == starts[0]:
        other = next(index for index in starts if index not in capitals)
        raise unclear(
            name,
            lines[other],
            "begins a paragraph without a name above it",
            "it belongs to the turn before",
            "nobody speaks it",
            "join it to the paragraph before, or put it in brackets",
        )
    return None


def _is_said(lines: list[Line], index: int) -> bool:
    """Whether a time is the only line of a paragraph below a name."""
    return lines[index].kind is Kind.STAMP and (index + 1 == len(lines) or lines[index + 1].after_blank)


def _paragraphs(lines: list[Line], heads: dict[int, Head]) -> set[int]:
    """The lines from each head to the next blank line."""
    spoken: set[int] = set()
    for index in heads:
        spoken.add(index)
        while index + 1 < len(lines) and not lines[index + 1].after_blank:
            index += 1
            spoken.add(index)
    return spoken
