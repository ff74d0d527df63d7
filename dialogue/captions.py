"""Parse SubRip subtitles (`.srt`) into turns.

Speakers are those that the text names; others are `#UNKNOWN#`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..errors import DataFormatError
from .reading import UNKNOWN, Conversation, Reading

_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})(?:[,.](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_MARKUP = re.compile(r"</?(?:i|b|u|s|font|c|v)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)
_DASH = re.compile(r"^\s*(?:[-‐‑–—]|>>)\s*(?=\S)")
_REMARK = re.compile(r"\([^)]*\)|\[[^]]*\]")
_NAME = re.compile(r"\s*([^\W\d_][^:]{0,39}?)\s*:(?!//)")


def read(text: str, name: str) -> Reading | None:
    """Read subtitles; None for a text in another form."""
    if not name.lower().endswith(".srt") and not is_subtitles(text):
        return None
    return Reading("SubRip subtitles", [Conversation("0", subtitle_turns(text, name))])


def is_subtitles(text: str) -> bool:
    """Whether the first or second non-blank line holds the times of a cue."""
    lines = (line for line in text.lstrip().split("\n", 8)[:8] if line.strip())
    return any(_TIMES.fullmatch(line.rstrip("\r")) for _, line in zip(range(2), lines, strict=False))


def subtitle_turns(text: str, name: str) -> list[dict[str, Any]]:
    """Parse subtitles into turns: `{"speaker", "text", "start", "end"}` (seconds).

    A cue is one turn, or several where a dash or a name starts a line. A speaker is an
    upper-case name before a colon (`MONICA: We had a deal!`). Where most lines begin with
    a capitalised name, the repeated names count as well (`Monica: …`; `Listen: …` is not
    a name). Speakers are never guessed: a turn without a name is `#UNKNOWN#`'s, whoever
    spoke before it.

    Raises:
        DataFormatError: naming the line, for text outside a cue or invalid times.
    """
    cues = list(_cues(text, name))
    names = _capitalised_names([line for _, _, lines in cues for line in lines])
    turns = []
    for start, end, lines in cues:
        for piece in _pieces(lines, names):
            speaker, utterance = _speaker(piece, names) or (UNKNOWN, piece)
            turns.append({"speaker": speaker, "text": utterance, "start": start, "end": end})
    return turns


def _cues(text: str, name: str) -> Iterator[tuple[float, float, list[str]]]:
    """Yield (start, end, lines of text) of each cue.

    A cue may contain blank lines: it ends at the next cue's times.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    times: dict[int, re.Match[str]] = {}
    for index, line in enumerate(lines):
        if match := _TIMES.fullmatch(line):
            times[index] = match
        elif "-->" in line:
            raise DataFormatError(
                f"{name}, line {index + 1}: no times in {line.strip()[:60]!r}; "
                "write 00:00:01,000 --> 00:00:02,500."
            )
    # A cue begins at its number, where it has one, else at its times.
    heads = [index - 1 if index and lines[index - 1].strip().isdigit() else index for index in times]
    outside = [index for index in range(heads[0] if heads else len(lines)) if lines[index].strip()]
    outside = [index for index in outside if not lines[index].strip().isdigit()] or outside
    if outside:
        raise DataFormatError(
            f"{name}, line {outside[0] + 1}: {lines[outside[0]].strip()[:60]!r} is outside a subtitle; "
            "write a line with its times above it."
        )
    for (index, match), end in zip(times.items(), [*heads[1:], len(lines)], strict=True):
        texts = [_MARKUP.sub("", line).strip() for line in lines[index + 1 : end]]
        start, stop = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
        yield start, stop, [text for text in texts if text]


def _seconds(clock: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = clock
    whole_seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole_seconds + int((fraction or "0").ljust(3, "0")) / 1000


def _capitalised_names(lines: list[str]) -> frozenset[str]:
    """Find the capitalised names that count as speakers."""
    found: Counter[str] = Counter()
    for line in lines:
        words = _words_before_colon(line)
        if 0 < len(words) <= 4 and all(word[0].isupper() or word[0].isdigit() for word in words):
            found[" ".join(words)] += 1
    most = 2 * found.total() > len(lines)
    return frozenset(speaker for speaker, times in found.items() if most and times > 1)


def _pieces(lines: list[str], names: frozenset[str]) -> list[str]:
    """Join the lines of a cue into one text for each turn.

    A dash or a name starts a new turn, a line break alone does not.
    """
    pieces: list[str] = []
    for line in lines:
        dash = _DASH.match(line)
        line = line[dash.end() :] if dash else line
        if dash or not pieces or _speaker(line, names):
            pieces.append(line)
        else:
            pieces[-1] += " " + line
    return pieces or [""]


def _speaker(text: str, names: frozenset[str]) -> tuple[str, str] | None:
    """Split off a name before a colon, in upper case or one of `names`.

    Returns:
        The name and the utterance, or None without a name.
    """
    words = _words_before_colon(text)
    speaker = " ".join(words)
    if speaker not in names and not (
        speaker == speaker.upper() and any(character.isalpha() for character in speaker)
    ):
        return None
    before, _, utterance = text.partition(":")
    return speaker, " ".join([*_REMARK.findall(before), utterance.strip()]).strip()


def _words_before_colon(text: str) -> list[str]:
    """The words before a colon that may be a name.

    A remark in brackets (`MONICA (on the phone): …`) is left out; it belongs to the text.
    """
    match = _NAME.match(_DASH.sub("", text, count=1))
    return _REMARK.sub("", match[1]).split() if match else []
