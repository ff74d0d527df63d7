"""Find turns whose names stand in brackets or before other marks, or that have none."""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from ..reading import UNKNOWN
from ..remarks import is_remark
from ..stamps import is_stamp
from .heads import ADDRESSED, BRACKETED, Head, Plan, cue
from .lines import Kind, Line, unclear
from .names import TITLES, Likeness, begins_sentence, likeness

SENTENCES = "text without names"
TIMES_ALONE = "text with time stamps and without names"
_DASHED = re.compile(r"(.{1,80}?)(?:[ \u00a0]+[-–—]{1,2}[ \u00a0]+)(?=\S)")
_PLAY = re.compile(r"([^\W\d_a-zà-ÿ][^.a-zà-ÿ]{0,60})\.\s+(?=\S)")
_ROMAN = re.compile("[IVXLC]+")
_IN_BRACKETS = re.compile(r"\[([^\[\]]{1,60})\] +(?=\S)|【([^【】]{1,60})】\s*(?=\S)")
_COLUMNS = re.compile(r"([^|\t]{1,80}?)(?: *\| +|\t+)(?=\S)")
_QUOTED = re.compile(r"([^\s「」『』（）:：。、]{1,20})(?=「.*」$|『.*』$)")  # 太郎「おはよう」
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "♪", "♫")
_NICK = re.compile(r"<[^<>]{1,40}> \S")
_BEGINNING = re.compile(r"[\"'“‘„«「『¿¡]?\w")
_COLON = re.compile(r"[:：](?=\s|$)")
_HEAD = 200  # characters in which a dash may separate a name


def names_in_brackets(lines: list[Line], name: str) -> Plan | None:
    """`[Anna] text` on every line, with names that return."""
    spoken = [index for index, line in enumerate(lines) if line.kind is Kind.TEXT]
    heads = {}
    for index in spoken:
        match = _IN_BRACKETS.match(lines[index].rest)
        speaker = (match[1] or match[2]).rpartition(": ")[2].strip() if match else ""
        if not match or likeness(speaker) < Likeness.NAME or is_remark(speaker):
            return None
        text = lines[index].rest[match.end() :].strip()
        heads[index] = Head(speaker, "", text, BRACKETED, Likeness.NAME)
    keys = {head.key for head in heads.values()}
    named = all(line.head is not None and line.head.likeness >= Likeness.NAME for line in lines)
    return Plan("names in brackets", heads) if 1 < len(keys) < len(heads) and not named else None


def names_before_separators(lines: list[Line], name: str) -> Plan | None:
    """`ANNA - text`, `Anna — text`, `Anna | text`, `ANNA. text` and `太郎「…」`."""
    spoken = [index for index, line in enumerate(lines) if line.kind is Kind.TEXT]
    for form, pattern in (
        ("`Name - text` lines", _DASHED),
        ("columns of names and texts", _COLUMNS),
        ("play", _PLAY),
        ("names before quotations", _QUOTED),
    ):
        heads = {}
        for index in spoken:
            line = lines[index].rest
            match = pattern.match(line, 0, _HEAD)
            kind = likeness(match[1].strip()) if match else Likeness.NONE
            if match and pattern is _COLUMNS and match[1].rstrip().endswith("."):
                kind = Likeness.NONE  # the text stands first
            if match and pattern is _DASHED and likeness(f"{match[1]} {match[1]}") < Likeness.NAME:
                kind = Likeness.NONE  # `ANNA. - We won!`
            if match and pattern is _PLAY and match[1].casefold() in TITLES:
                kind = Likeness.NONE  # `MR. SMITH`
            if match and kind >= Likeness.NAME and len(match[1].split()) <= 4:
                text = line[match.end() :].strip()
                text = text[1:-1] if pattern is _QUOTED else text
                text = _without_stamp_cells(text) if pattern is _COLUMNS else text
                heads[index] = Head(match[1].strip(), "", text, "", kind)
        keys = Counter(head.key for head in heads.values())
        capitals = all(head.name == head.name.upper() != head.name.lower() for head in heads.values())
        certain = capitals or len(keys) < len(heads) or pattern in (_QUOTED, _COLUMNS)
        if not certain and pattern is _DASHED and len(heads) == len(spoken):
            certain = all(map(_says_a_sentence, heads.values()))
        if len(heads) < 2 or spoken[0] not in heads or not certain:
            continue
        with_colon = sum(_has_name(lines[index]) for index in spoken)  # of which some are texts
        if 2 * with_colon > len(spoken):
            continue
        if len(heads) == len(spoken) or (capitals and len(keys) < len(heads) and not with_colon):
            return Plan(form, heads)
    return None


def _says_a_sentence(head: Head) -> bool:
    """Whether one word stands before a whole sentence, as `Anna - We won!`."""
    return " " not in head.name and head.text[0].isupper() and head.text[-1] in ".!?…"


def _has_name(line: Line, at_least: Likeness = Likeness.NAME) -> bool:
    return line.head is not None and not line.head.above and line.head.likeness >= at_least


def times_without_names(lines: list[Line], name: str) -> Plan | None:
    """Texts with a time each, of which few begin with a word and a colon."""
    spoken = _below_first_stamp(lines)
    named = [index for index in spoken if _has_name(lines[index], Likeness.NICK)]
    heads = [head for index in named if (head := lines[index].head) is not None]
    is_timed = all(
        lines[index].stamped or (index and lines[index - 1].kind is Kind.STAMP) for index in spoken
    )
    with_colon = sum(_has_name(lines[index], Likeness.PHRASE) for index in spoken)
    if not named or not is_timed or spoken[0] in named or 2 * len(named) > len(spoken):
        return None
    if with_colon == len(spoken):
        return None
    certain = any(head.likeness is Likeness.LABEL or ADDRESSED in head.dress for head in heads)
    once = len({head.key for head in heads}) == len(heads)
    return without_names(lines, name) if once and not certain else None


def _without_stamp_cells(text: str) -> str:
    """Leave out the cells with times that ELAN writes between name and text."""
    while match := _COLUMNS.match(text):
        if not (is_stamp(match[1]) or re.fullmatch(r"\d+(?:[.,]\d+)?", match[1].strip())):
            break
        text = text[match.end() :]
    return text.replace("\t", " ")


def without_names(lines: list[Line], name: str) -> Plan | None:
    """One line, or lines that stamps or `>>` part: turns of an unknown speaker."""
    nobody = Head(UNKNOWN, "", "", "", Likeness.LABEL)
    if len(lines) == 1 and lines[0].kind is not Kind.STAMP:
        return Plan("one turn without a name", {0: replace(nobody, text=lines[0].text)})
    heads = {}
    text = _below_first_stamp(lines) or [i for i, line in enumerate(lines) if line.kind is Kind.TEXT]
    for index in text:
        line = lines[index]
        if line.stamped or line.text.startswith(">>"):
            heads[index] = replace(nobody, text=line.rest)
        elif index and lines[index - 1].kind is Kind.STAMP:
            heads[index] = replace(nobody, text=line.text)
    nicks = sum(_NICK.match(head.text) is not None for head in heads.values())
    if not heads or text[0] not in heads or nicks > 1:
        return None
    columns = ["\t" in head.text or _begins_columns(head.text) for head in heads.values()]
    if 2 * sum(columns) >= len(columns):
        raise unclear(
            name,
            lines[text[0]],
            "has several columns behind its time",
            "the first is the text",
            "the last is the text",
            "write the names of the columns above them, such as speaker and text",
        )
    for above, line in pairwise(lines):
        if above.kind is line.kind is Kind.STAMP and ":" in line.text and "-->" not in above.text + line.text:
            raise unclear(
                name,
                line,
                "stands below another time",
                "it is the time of the text below",
                "somebody says it",
                "write `Name: text`, or delete one of the two",
            )
    named = [index for index in heads if index + 1 < len(lines) and _may_name(lines[index], lines[index + 1])]
    if named and len(named) >= len(heads) - 1:  # the last may be cut off
        raise unclear(
            name,
            lines[named[0]],
            "stands between a time and a text, as a line does below every time",
            f"{lines[named[0]].text} speaks",
            "it is the first line of the text",
            "write `Name: text`, or join the lines of each text",
        )
    for index, head in heads.items():
        heads[index] = replace(head, text=head.text.removesuffix("[SPEAKER_TURN]").strip())
    return Plan(TIMES_ALONE, heads)


def _begins_columns(text: str) -> bool:
    match = _COLUMNS.match(text)
    return match is not None and likeness(match[1].strip()) >= Likeness.NAME


def _may_name(line: Line, below: Line) -> bool:
    """Whether a line alone may be the name of who says the line below."""
    in_place = below.kind is Kind.TEXT and not below.stamped and not below.after_blank and not line.stamped
    return in_place and likeness(line.text) >= Likeness.NAME and line.text[-1].isalnum()


def _below_first_stamp(lines: list[Line]) -> list[int]:
    """The lines of text from the first time on; those above it may be a title.

    Where a line stands above every time, and two between times, it is none.
    """
    text = [index for index, line in enumerate(lines) if line.kind is Kind.TEXT]
    times = [index for index, line in enumerate(lines) if line.stamped or line.kind is Kind.STAMP]
    if not times:
        return []
    kinds = [line.kind is Kind.TEXT and not line.stamped for line in lines]
    single = any(sum(kinds[start + 1 : end]) == 1 for start, end in pairwise(times))
    is_title = lines[times[0]].after_blank or single or any(lines[index].stamped for index in text)
    return [index for index in text if index >= times[0]] if is_title else text


def named_before_mark(text: str) -> str | None:
    """The name that a line may begin with, in one case: `Anna | We won!`."""
    for pattern in (_COLUMNS, _DASHED, _PLAY):
        match = pattern.match(text, 0, _HEAD)
        if match and likeness(match[1].strip()) >= Likeness.NAME and not _ROMAN.fullmatch(match[1]):
            return " ".join(match[1].casefold().split())
    return None


def parts_a_name(text: str) -> bool:
    """Whether a line may begin with a name and a mark, as `Anna - We won!`."""
    matches = (pattern.match(text, 0, _HEAD) for pattern in (_DASHED, _COLUMNS, _PLAY))
    return any(match and likeness(match[1].strip()) >= Likeness.NAME for match in matches)


def sentences(lines: list[Line], name: str) -> Plan | None:
    """Lines of which most are whole sentences, as in Whisper's `.txt`, without a name.

    Lines that may be wrapped, and lines that may begin with names whose colons are
    missing, are none.
    """
    spaced = {line.after_blank for line in lines[1:]}
    plain = all(
        line.kind is Kind.TEXT and line.head is None and _BEGINNING.match(line.text) for line in lines
    )
    colons = sum(_COLON.search(line.text[:120]) is not None or "\t" in line.text for line in lines)
    parted = sum(parts_a_name(line.text) for line in lines)
    ended = sum(line.text.rstrip("\"'”’»）)」』").endswith(_SENTENCE_ENDS) for line in lines)
    first_words = Counter(line.text.split()[0].casefold().strip(",.") for line in lines)
    returning = sum(n for word, n in first_words.items() if n > 1 and not begins_sentence(word))
    if len(lines) < 2 or len(spaced) > 1 or not plain or 5 * (colons + parted) > len(lines):
        return None
    first = lines[0].text
    if 2 * ended < len(lines) or 2 * returning > len(lines) or (first == first.upper() and cue(first)):
        return None
    heads = {index: Head(UNKNOWN, "", line.text, "", Likeness.LABEL) for index, line in enumerate(lines)}
    return Plan(SENTENCES, heads)
