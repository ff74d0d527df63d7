"""Split plain text into lines and tell what each of them is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ...errors import DataFormatError
from ...files.text import short
from ..stamps import is_stamp
from .heads import Head, parse_head, undress
from .names import Likeness

# A byte order mark within a line is the seam of two files of which one ended without a
# line break.
_LINE_END = re.compile(r"\r*\n|\r|(?<=[^\n\r])\ufeff(?=[^\n\r:：]{1,80}[:：])")
_RANGE = re.compile(r"\d\s*(?:-->|->|→|[-–—~])\s*\d+:")
_SEPARATOR = re.compile("[\u2028\u2029\x0b\x85]")  # which programs may write for a line end
_NUMBERED = re.compile(r"(\d{1,5})(?:\s*\|\s*|[:.)]?\s+|[:.)]?$)")
_SECTION = re.compile(
    r"#{1,6}\s+\S.*"
    r"|(?:scene|act|chapter|part|session|episode|dialogue|conversation|call(?!\s*\d{3})|szene|akt|kapitel|teil|gespräch"
    r"|acte|scène|chapitre|escena|acto|capítulo|scena|atto|capitolo|第)\s*(?:\d{1,4}|[ivxlc]{1,6}|[一二三四五六七八九十]+)"
    r"\b[场幕章回]?[ \t]*(?:[:.,–—-].{0,80})?"
    r"|(?:int|ext|est|int\.?/ext|i/e)[. ]+\S.{0,100}",
    re.IGNORECASE,
)
_FURNITURE = re.compile(
    r"transcribed (?:by|with)\b.{0,120}|page \d+(?: of \d+)?"
    r"|(?:recording|transcription) (?:started|stopped)\.?"
    r"|\S.{0,60} (?:started|stopped) (?:transcription|recording)|transcription ended(?: after)? \d[\d:]*"
    r"|this editable transcript was computer generated\b.{0,200}"
    r"|meeting (?:started|ended)(?: after)? \d[\d:/. -]*(?: [A-Z]{2,5}\b)?\W*"
    r"|conversation with .{1,80} at .{0,40}\d.{0,80}"
    r"|\(?continued\)?:?|commercial break|(?:opening|closing|end) credits|credits|teaser"
    r"|fade (?:in|out)[:.]?|fade to black[:.]?|(?:smash |match )?cut to(?: black)?[:.]?|dissolve to:?"
    r"|\(?(?:the )?end(?: of (?:transcript|recording|interview|audio))?\)?\.?"
    r"|by (?:mr|ms|mrs|dr)\. [a-z' -]{1,40}:"
    r"|(?:(?:direct|cross|redirect|recross)[ -])?examination(?: by .{1,60})?",
    re.IGNORECASE,
)
# A time as screen readers say it, which YouTube writes below the time.
_READ_OUT = re.compile(r"(?:\d+ hours?,? )?(?:\d+ minutes?,? )?\d+ (?:minutes?|seconds?)")
_QUOTED = re.compile(r'"[^"]+"|“[^“”]+”|„[^„“]+“')  # a whole line
_SCREENPLAY = re.compile(r"(?:(?:INT|EXT|EST)[. /]|FADE (?:IN|OUT)|CUT TO|DISSOLVE TO)")
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_BLANKS = f" \t\u00a0\x0b\x0c\x1c\x1d\x1e\x1f\x85\u3000{_DIRECTIONS}"
_CLOSING = {"(": ")", "[": "]", "{": "}", "（": "）", "【": "】", "［": "］"}
_LONGEST_DIRECTION = 400


_Raw = tuple[int, str, bool, bool]  # number, text, after a blank line, indented


class Kind(Enum):
    """What a line is when it is no head."""

    TEXT = "text"
    STAMP = "a stamp alone"
    DIRECTION = "a stage direction"
    RULE = "a line drawn between parts"
    SECTION = "the title of a part"
    FURNITURE = "a line of the program or the page"


@dataclass(slots=True)
class Line:
    """A line that is not blank.

    Attributes:
        number: Its number in the file.
        text: Its text without blanks at the ends.
        after_blank: Whether a blank line stands before it.
        kind: What it is, where it is no head.
        head: The head it may have.
        stamped: Whether it begins with a stamp.
        rest: What follows bullets, stamp and emphasis.
        indented: Whether blanks stand before it.
    """

    number: int
    text: str
    after_blank: bool
    kind: Kind
    head: Head | None
    stamped: bool
    rest: str
    indented: bool


def script_lines(text: str) -> list[Line]:
    """Split a text into its lines, without blank ones.

    Lines end at `\\n`, `\\r\\n` or `\\r`. Line numbers are cut where every line has one.
    """
    found: list[_Raw] = []
    blank = False
    raw_lines = _LINE_END.split(text)
    if len(raw_lines) == 1 and all(map(_is_turn, parts := _SEPARATOR.split(text))):
        raw_lines = parts
    for number, raw in enumerate(raw_lines, 1):
        line = raw.replace("\ufeff", "").strip(_BLANKS).strip()
        if line.strip("> "):  # not the blank line of a quotation
            found.append((number, line, blank, raw[0] in " \t"))
        blank = not line.strip("> ")
    if len(found) > 2 and found[0][1].startswith("```") and found[-1][1] == "```":
        found = found[1:-1]
    if len(found) > 1 and all(_QUOTED.fullmatch(line) for _, line, _, _ in found):
        found = [(number, line[1:-1].strip(), above, indented) for number, line, above, indented in found]
    lines = [_line(*line) for line in _without_numbers(found)]
    ranges = [_RANGE.search(line.text) is not None for line in lines if line.kind is Kind.STAMP]
    # A time alone among spans of time is what somebody says.
    if ranges[:1] == [True] and 2 * sum(ranges) >= len(ranges):
        for line in lines:
            if line.kind is Kind.STAMP and not _RANGE.search(line.text):
                line.kind, line.rest, line.stamped = Kind.TEXT, line.text, False
    for above, line in pairwise(lines):
        if above.kind is Kind.STAMP and _READ_OUT.fullmatch(line.text):
            line.kind, line.head = Kind.STAMP, None
    return lines


def _is_turn(text: str) -> bool:
    """Whether a text is blank or begins with a name and a colon."""
    head = parse_head(*undress(text.strip()))
    return not text.strip() or (head is not None and not head.above and head.likeness >= Likeness.NAME)


def _line(number: int, text: str, after_blank: bool, indented: bool) -> Line:
    dress, rest = undress(text)
    stamped = "s" in dress
    kind = _kind(text, rest, stamped)
    head = parse_head(dress, rest) if kind in (Kind.TEXT, Kind.SECTION) else None
    if kind is Kind.DIRECTION and (label := parse_head(dress, rest)) and label.above:
        kind, head = Kind.TEXT, label  # `[SPEAKER_00]`
    if kind is Kind.SECTION and head is not None and not text.startswith("#"):
        head = None
    return Line(number, text, after_blank, kind, head, stamped, rest, indented)


def _kind(text: str, rest: str, stamped: bool) -> Kind:
    if len(text) > _LONGEST_DIRECTION:
        return Kind.TEXT
    if (stamped and not rest) or (text[-1:] in "mMrR0123456789" and is_stamp(text)):
        return Kind.STAMP
    if text[0] in "-*_=~#–—" and len(text) >= 3 and len(set(text.replace(" ", ""))) == 1:
        return Kind.RULE
    if _SECTION.fullmatch(text):
        return Kind.SECTION
    if _FURNITURE.fullmatch(text):
        return Kind.FURNITURE
    if is_direction(rest):
        return Kind.DIRECTION
    return Kind.TEXT


def is_direction(text: str) -> bool:
    """Whether the whole text is in one pair of brackets, as `(laughs)`; or `*laughs*`."""
    if not 2 < len(text) <= _LONGEST_DIRECTION:
        return False
    if text[0] in "♪♫":
        return True
    if text[0] == text[-1] == "*" and text[1].islower():
        return "*" not in text[1:-1]
    if text[0] == "{" and any(mark in text for mark in '":;='):
        return False  # code
    opening, closing = text[0], _CLOSING.get(text[0])
    depth = 0
    for index, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if not depth:
            return closing is not None and index == len(text) - 1
    return False


def is_screenplay(lines: list[Line]) -> bool:
    """Whether a line is one that only screenplays have, such as `INT. KITCHEN - DAY`."""
    return any(_SCREENPLAY.match(line.text) for line in lines if line.kind is not Kind.TEXT)


def _without_numbers(lines: list[_Raw]) -> Iterator[_Raw]:
    """Cut line numbers, where all lines have one that counts up or begins anew."""
    numbers: list[int] = []
    earlier = None
    for _, line, _, _ in lines:
        match = _NUMBERED.match(line)
        if not match or (earlier is not None and int(match[1]) not in (earlier + 1, 1)):
            yield from lines
            return
        earlier = int(match[1])
        numbers.append(match.end())
    rests = [line[end:].strip() for (_, line, _, _), end in zip(lines, numbers, strict=True)]
    # `1: We won!` may as well be what speaker 1 says.
    in_columns = all("\t" in rest or " | " in rest for rest in rests)
    if len(lines) < 2 or not (in_columns or any(parse_head(*undress(rest)) for rest in rests if rest)):
        yield from lines
        return
    blank = False
    for (number, _, after_blank, indented), rest in zip(lines, rests, strict=True):
        if rest:
            yield number, rest, blank or after_blank, indented
        blank = not rest


def unclear(name: str, line: Line, what: str, one: str, other: str, remedy: str) -> DataFormatError:
    """Make the refusal of a line, with its two readings."""
    return DataFormatError(
        f"{name}, line {line.number}: {short(line.text)} {what}: either {one}, or {other}; {remedy}."
    )
