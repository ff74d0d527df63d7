"""Parse the head of a line: bullets, stamps and emphasis around a name and a colon."""

import re
from dataclasses import dataclass, field, replace

from ..remarks import is_remark
from ..stamps import around_stamp, is_stamp, without_leading_stamp, without_trailing_stamp
from .names import LONGEST_NAME, Likeness, begins_sentence, is_label, likeness

# How heads are dressed, a letter each; heads of one transcript wear the same.
QUOTED, LISTED, STAMPED, EMPHASISED, HEADING = ">", "-", "s", "*", "#"
STAMP_BEHIND, STAMP_AFTER_COLON, BRACKETED, ADDRESSED, DOTTED = "t", "c", "[", "@", "."
SAYS, BARE = "v", "]"  # a verb behind the name; brackets without a colon
ABOVE, COLON_ABOVE = "^", ":"  # the text stands on the lines below
_CERTAIN = {STAMPED, STAMP_BEHIND, STAMP_AFTER_COLON, EMPHASISED, BRACKETED, ADDRESSED, QUOTED}

_SAID = re.compile(r"(You|ChatGPT|Claude|Gemini|Copilot|DeepSeek|Grok) said", re.IGNORECASE)
_SAYS = re.compile(
    r"(\S.{0,60}?) (?:says|said|asks|asked|replies|replied|writes|wrote|sagte?|fragt|schreibt|dit|dice)"
    r"(?: [(\[].{3,40}[)\]])?"
)
_HEAD = 300  # characters of a line in which its head is looked for
_COLON = re.compile("[:：﹕︰꞉∶]")
_MATRIX = re.compile(r"@[\w.=/-]{1,60}:[\w-]{1,60}\.[\w.-]{1,60}:")
_NO_NAME = re.compile(r"\w::\w|\b[A-Za-z]:/\S|(?:^|\s):[-'’]{0,2}[()\[\]DPpOo/|*3]+(?=[\s.,!?]|$)")
_FIRST = frozenset("JFMASONDTWL上下凌早中晚午오")  # of months and days: other letters begin no stamp
_QUOTE = re.compile(r"(?:>{1,3}|»)\s*")
_BULLET = re.compile(r"(?:[-–—•·▪‣◦●○*+☐☑✓✔→➜➤►▶]|[=-]>|\[[ xX]\])\s+|[–—•·▪‣◦●○→➜➤►▶](?=\w)|-(?=[^\W\d_])")
_NUMBER = re.compile(r"(?:\d{1,4}[.)]|\(\d{1,4}\)|\[\d{1,4}\]|#\d{1,4}:?|L\d{2,4}:?)\s+")
_HASHES = re.compile(r"#{1,6}\s+")
_EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|_)(?=[^\s*_])")
_NAME_IN_BRACKETS = re.compile(r"[\[<{【(（]\s*([^\[\](){}<>【】（）]{1,80}?)\s*[\]>}】)）]\s*")
_FROM = re.compile(
    r"(?:(?:from|von|de|da|van)\s+(.{1,80}?)(?:\s+(?:to|an|à|a|para|aan)\s+.{1,80}?)?"
    r"|(?:从|從|由|来自|來自|開始)\s*(.{1,80}?)\s*(?:到|给|給|至|发送至|發送至|宛先)\s*.{1,80}?)"
    r"(?:\s*\([^()]{1,40}\))?",
    re.IGNORECASE,
)
_TO_EVERYONE = re.compile(
    r"(?:from\s+)?(.{1,80}?)(?:\s+to\s+(?:everyone|all panelists|hosts? and panelists|all|you|me"
    r"|waiting room)|\s*(?:对|對|到|发送至|發送至)\s*(?:所有人|每个人|每個人)\s*[说說]?)"
    r"(?:\s*\([^()]{1,40}\))?",
    re.IGNORECASE,
)
_QUESTION_OR_ANSWER = re.compile(r"([QA])\.\s+(?=\S)")
_LABELLED = re.compile(r"(?:[A-Z]{1,2} )?((?:SPEAKER|speaker|spk|SPK)_\d{1,3})\s+(?=[^\s|])")
_OF_CORPUS = re.compile(  # IEMOCAP's `Ses01F_impro01_M000`, Switchboard's `A.12`
    r"(?P<session>Ses\d{2})[FM]_\w{4,20}_(?P<sex>[FM])[A-Z]{0,2}\d{3}|(?P<side>[AB])\.\d{1,4}"
)
_QUOTES = ("''", '""', "“”", "„“", "‘’", "«»")
_COLUMNS = re.compile(r"\t+| {2,}")
_BRACKET = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）")


@dataclass(slots=True)
class Head:
    """What a line says about its speaker.

    Attributes:
        name: The name without brackets.
        bracket: What stands in brackets beside the name, such as `(laughing)`.
        text: The rest of the line.
        dress: The letters of what stands around the name, in order of appearance.
        likeness: How much the name looks like one.
    """

    name: str
    bracket: str
    text: str
    dress: str
    likeness: Likeness

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return " ".join(self.name.casefold().split())

    @property
    def above(self) -> bool:
        """Whether the name stands on a line of its own, without a colon."""
        return self.dress.endswith(ABOVE)

    @property
    def certain(self) -> bool:
        """Whether more than a colon sets the name apart."""
        return not _CERTAIN.isdisjoint(self.dress)


@dataclass
class Plan:
    """Which lines are heads.

    Attributes:
        form: What the text is called.
        heads: The head of each line that begins a turn, by index of the line.
        action: Indices of lines that nobody speaks.
    """

    form: str
    heads: dict[int, Head]
    action: set[int] = field(default_factory=set)


def undress(line: str) -> tuple[str, str]:
    """Cut bullets, numbers, quote signs, stamps and emphasis from the start.

    Returns:
        Their letters, and the rest of the line.
    """
    dress = ""
    for _ in range(6):
        if line[:1] not in _FIRST and line[:1].isalpha():
            break
        for letter, pattern in ((QUOTED, _QUOTE), (LISTED, _BULLET), (LISTED, _NUMBER), (HEADING, _HASHES)):
            if match := pattern.match(line):
                dress, line = dress + letter, line[match.end() :]
                break
        else:
            if (rest := without_leading_stamp(line)) is not None:
                dress, line = dress + STAMPED, rest
            elif (rest := _without_emphasis(line)) is not None:
                dress, line = dress + EMPHASISED, rest
            else:
                break
    return dress, line


def _without_emphasis(line: str) -> str | None:
    match = _EMPHASIS.match(line)
    if not match:
        return None
    end = line.find(match[1], match.end(), _HEAD)
    return line[match.end() : end] + line[end + len(match[1]) :] if end > 0 else None


def parse_head(dress: str, rest: str) -> Head | None:
    """Parse the head of a line, None for a line that has none.

    A head may turn out to be none: whether its name is one depends on the other lines.

    Args:
        dress: What [`undress`] cut from the line.
        rest: What it left.
    """
    if not rest:
        return None
    head = _bracketed(rest, dress) or _before_colon(rest, dress)
    if head is None or (head.likeness is Likeness.NONE and "\t" in rest):
        head = _without_colon(rest, dress)
    if head is None or head.likeness is Likeness.NONE:
        return None
    return head


def _head(name: str, text: str, dress: str, at_least: Likeness = Likeness.NONE) -> Head | None:
    """Split the brackets off a name; None for what is too long or empty."""
    name = name.strip(" \t\u00a0*_").rstrip(" -–—|,^")
    if len(name) > 2 and name[0] + name[-1] in _QUOTES:
        name = name[1:-1].strip()
    bracket = " ".join(_BRACKET.findall(name))
    bare = " ".join(_BRACKET.sub(" ", name).split())
    if not bare or len(name) > LONGEST_NAME:
        return None
    if match := _OF_CORPUS.fullmatch(bare):
        bare = match["side"] or f"{match['session']}_{match['sex']}"
        bracket = bracket if match["side"] else ""  # the times of the turn
    return Head(bare, bracket, text, dress, max(likeness(bare), at_least))


def _before_colon(rest: str, dress: str) -> Head | None:
    start = rest[:_HEAD]
    for match in _COLON.finditer(start):
        at = match.start()
        if _MATRIX.match(start) and start.find(":") == at:
            continue  # the colon within @anna:example.org
        if match[0] == ":" and start[at - 1 : at].isdigit() and start[at + 1 : at + 2].isdigit():
            continue  # a clock
        if start.startswith(("//", "\\"), at + 1) or _NO_NAME.match(start, max(0, at - 1)):
            return None  # a URL, a path, a name in code or a smiley
        return _named(start[:at], rest[at + 1 :].strip(), dress)
    return None


def _named(before: str, text: str, dress: str) -> Head | None:
    """Make a head of what stands before a colon and behind it."""
    match = None if _SAID.fullmatch(before) else _SAYS.fullmatch(before)
    if match and not begins_sentence(match[1].split()[0].casefold()):
        before, dress = match[1], dress + SAYS
    if (name := without_trailing_stamp(before)) is not None:
        before, dress = name, dress + STAMP_BEHIND
    elif around_stamp(before):  # the colon is in the text: `Anna [0:03] Great: yes.`
        return None
    if "\t" in before.strip():
        return None  # the colon is in another column
    at_least = Likeness.NONE
    before = " ".join(before.split())
    stamp, *columns = _COLUMNS.split(text, maxsplit=1)
    if match := _FROM.fullmatch(before) or _TO_EVERYONE.fullmatch(before):
        before, dress, at_least = match[match.lastindex or 1], dress + ADDRESSED, Likeness.NAME
    elif not text and (match := _SAID.fullmatch(before)):  # copied from a chat with a model
        before, at_least = match[1], Likeness.NAME
    elif is_stamp(text) and text[:1] in "[(<":
        text, dress = "", dress + STAMP_AFTER_COLON
    elif (rest := without_leading_stamp(text, brackets_only=True)) is not None:
        text, dress = rest, dress + STAMP_AFTER_COLON
    elif columns and is_stamp(stamp):
        text, dress = columns[0], dress + STAMP_AFTER_COLON
    return _head(before, text, dress if text else dress + COLON_ABOVE, at_least)


def _bracketed(rest: str, dress: str) -> Head | None:
    """Parse `[SPEAKER_00]: text`, `[Anna] 0:03`, `[Anna 0:03] text`, `[spk_0] text`."""
    match = _NAME_IN_BRACKETS.match(rest)
    if not match:
        return None
    dress, behind = dress + BRACKETED, rest[match.end() :]
    if (name := without_trailing_stamp(match[1]) or without_leading_stamp(match[1])) and not is_remark(name):
        text = behind[1:] if _COLON.match(behind) else behind
        dress += STAMP_BEHIND + ("" if text.strip() else ABOVE)
        head = _head(name, text.strip(), dress)
        return head if head and head.likeness >= Likeness.NAME else None
    if (later := without_leading_stamp(behind)) is not None:
        behind, dress = later, dress + STAMP_BEHIND
        if not behind:
            return _head(match[1], "", dress + ABOVE)
    if _COLON.match(behind):
        return _named(match[1], behind[1:].strip(), dress)
    name = match[1].rpartition(": ")[2]  # `[Speaker: Anna]`
    head = _head(name, behind.strip(), dress + BARE if behind else dress + ABOVE)
    if head is None or head.likeness < Likeness.NAME or is_remark(head.name):
        return None
    return head if head.likeness is Likeness.LABEL or (behind and match[0][0] in "[【") else None


def _without_colon(rest: str, dress: str) -> Head | None:
    if head := question_or_answer(dress, rest):
        return head
    if len(rest) <= _HEAD and (name := without_trailing_stamp(rest)) is not None:
        if likeness(f"{name} {name}") is Likeness.NONE and likeness(name) is not Likeness.NONE:
            return None  # `ANNA. 12:30`
        addressed = _TO_EVERYONE.fullmatch(" ".join(name.split()))
        return _head(addressed[1] if addressed else name, "", dress + STAMP_BEHIND + ABOVE)
    if STAMPED in dress and (match := _LABELLED.match(rest)):
        return Head(match[1], "", rest[match.end() :].strip(), dress, Likeness.LABEL)
    if pieces := around_stamp(rest[:_HEAD]):
        head = _head(pieces[0], rest[len(rest[:_HEAD]) - len(pieces[1]) :].strip(), dress + STAMP_BEHIND)
        return head if head and head.likeness >= Likeness.NAME else None
    if len(rest) > LONGEST_NAME or ({STAMPED, EMPHASISED, HEADING}.isdisjoint(dress) and not is_label(rest)):
        return None
    head = _head(rest, "", dress + ABOVE)
    return head if head and head.likeness >= Likeness.NICK else None


def question_or_answer(dress: str, rest: str) -> Head | None:
    """Parse `Q. Where?`, which is a turn where the text has answers `A.` too."""
    match = _QUESTION_OR_ANSWER.match(rest)
    if not match:
        return None
    return Head(match[1], "", rest[match.end() :].strip(), dress + DOTTED, Likeness.LABEL)


def cue(line: str, at_least: Likeness = Likeness.NAME) -> Head | None:
    """Parse a name alone on its line, without a stamp: `ANNA`, `BEN (V.O.)`, `Anna`."""
    head = _head(line, "", ABOVE) if len(line) <= LONGEST_NAME and "\t" not in line else None
    return head if head and head.likeness >= at_least and line[-1] not in ".,-–—" else None


def plain(head: Head) -> Head:
    """Take the head as one with an empty text, not as one above its text."""
    return replace(head, dress=head.dress.rstrip(COLON_ABOVE))
