"""Find who speaks in the text of captions."""

import re
from collections import Counter

from ..remarks import begins_sentence, is_manner, is_remark, without_asides
from ..scripts.names import Likeness, is_label, likeness

_DASH = re.compile(r"^\s*(?:[-‐‑–—](?!-)|>{2,3}|&gt;&gt;)\s*(?=\S)")
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）|【[^【】]*】")
# A colon inside a clock (12:30), a ratio or an address ends no name.
_COLON = re.compile(r"\s*([^\s:：][^:：]{0,39}?)\s*(?:：|(?<!\d):(?!//)|(?<=\d):(?!//|\d))")
_IN_BRACKETS = r"\s*(?:[\[【［]([^\[\]【】［］]{1,40})[\]】］]|[(（]([^()（）]{1,40})[)）])\s*"
_BRACKET = re.compile(rf"{_IN_BRACKETS}[:：]?\s*(?=\S)")
_BRACKET_COLON = re.compile(rf"{_IN_BRACKETS}[:：]\s*")
_BRACKET_ALONE = re.compile(_IN_BRACKETS)
_ADDRESS = re.compile(
    r"www\.|\.(?:com|org|net|info|io|tv|edu|gov|eu|uk|de|fr|es|it)$", re.IGNORECASE
)  # of a web site


def without_dash(line: str) -> tuple[bool, str]:
    """Whether a dash or arrows begin the line, and the line without them."""
    dash = _DASH.match(line)
    return bool(dash), line[dash.end() :] if dash else line


def is_name_line(line: str) -> bool:
    """Whether a line may be a name and nothing else: `Anna Bell`."""
    words = line.split()
    return _is_title(words) and line[-1].isalnum() and not is_remark(line)


def is_name_in_brackets(line: str) -> bool:
    """Whether a line is a name in brackets and nothing else: `[Anna]`, `(SPEAKER_00)`."""
    return _BRACKET_ALONE.fullmatch(line) is not None and _bracketed(line, _BRACKET_ALONE) is not None


def is_sound(text: str) -> bool:
    """Whether a text holds remarks or music only: `[door slams]`, `♪ la la ♪`."""
    spoken = _REMARK.sub("", text).strip(" -–—.")
    return bool(text.strip()) and (not spoken or spoken[0] in "♪♫")


class Speakers:
    """Decide which words before a text are a name, from all cues of a file.

    Upper-case words before a colon are a name (`MONICA: …`), and so are labels of
    diarizers. Where most cues begin with a capitalised name, these names count
    (`Monica: …`), but for words that stand there in sentences (`Listen: …`). So do names
    of which several return, as where only the first cue of a turn has one, and words in
    lower case before all cues. Names in brackets count with a colon behind them, or where
    most cues have a name.

    Attributes:
        doubtful: The capitalised words before a colon that are taken for text.
    """

    def __init__(self, cues: list[list[str]], known: frozenset[str] = frozenset()):
        found: Counter[str] = Counter()
        brackets: Counter[str] = Counter()
        nicks: Counter[str] = Counter()
        spoken = named = 0
        starts_with_name = False
        for lines in cues:
            for index, line in enumerate(lines):
                begins, line = without_dash(line)
                if is_sound(line):
                    continue
                words = _words_before_colon(line)
                candidate = " ".join(words)
                title = _is_title(words)
                if title:
                    found[candidate] += 1
                if index == 0 or begins:
                    bracket = _bracketed(line, _BRACKET)
                    starts_with_name |= title and not spoken
                    spoken += 1
                    nicks.update(words if len(words) == 1 and likeness(candidate) >= Likeness.NICK else ())
                    named += title or bracket is not None
                    if bracket:
                        brackets[bracket] += 1
        often = 2 * named + starts_with_name > spoken
        likely = {name for name in found if not begins_sentence(name) and likeness(name) >= Likeness.NICK}
        repeated = {name for name, times in found.items() if times > 1}
        names = repeated | likely if often else repeated & likely if len(repeated & likely) > 1 else set()
        if 1 < nicks.total() == spoken and len(nicks) > 1:
            names |= set(nicks)
        self._names = frozenset(names) | known
        self._brackets = frozenset(brackets if 2 * named > spoken else ()) | known
        self.doubtful = sorted(likely - self._names)

    def split(self, text: str) -> tuple[str, str] | None:
        """Split a text into speaker and utterance; None without a name."""
        for pattern in (_BRACKET_COLON, _BRACKET):
            match, speaker = pattern.match(text), _bracketed(text, pattern)
            if match and speaker and (pattern is _BRACKET_COLON or self._is_known(speaker)):
                return speaker, text[match.end() :].strip()
        words = _words_before_colon(text)
        speaker = " ".join(words)
        if (
            not speaker
            or _ADDRESS.search(speaker)
            or not (speaker in self._names or is_label(speaker) or _is_upper_name(words))
        ):
            return None
        colon = _COLON.match(text)
        assert colon is not None
        said = [text[colon.end() :].strip()]
        for bracket in reversed(_REMARK.findall(without_asides(colon[1]))):
            if is_manner(bracket) or is_remark(bracket.strip("()[]（）【】")):
                said.insert(0, bracket)
            else:  # `Ben (Guest)`
                speaker = f"{speaker} {bracket}"
        return speaker, " ".join(said).strip()

    def _is_known(self, name: str) -> bool:
        return name in self._brackets or name in self._names or is_label(name)


def _words_before_colon(text: str) -> list[str]:
    """The words before a colon that may be a name.

    A remark in brackets (`MONICA (on the phone): …`) is left out; it belongs to the text.
    """
    match = _COLON.match(text)
    if not match:
        return []
    words = _REMARK.sub("", match[1]).split()
    return words if words and any(char.isalpha() for char in words[0]) else []


def _is_title(words: list[str]) -> bool:
    """Whether one to four words look like a name: `Anna Bell`, `Anna van Dam`, `小明`."""
    return 0 < len(words) <= 4 and words[0][0].isalnum() and likeness(" ".join(words)) >= Likeness.NAME


def _is_upper_name(words: list[str]) -> bool:
    name = " ".join(words)
    is_upper = name == name.upper() and name != name.lower()
    return is_upper and not begins_sentence(name) and likeness(name) is not Likeness.NONE


def _bracketed(text: str, pattern: re.Pattern[str]) -> str | None:
    """The name in brackets at the start of a text; None for remarks."""
    match = pattern.match(text)
    if not match:
        return None
    name = " ".join((match[1] or match[2]).split())
    if is_label(name):
        return name
    return name if _is_title(name.split()) and any(map(str.isalpha, name)) and not is_remark(name) else None
