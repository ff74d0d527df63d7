"""Subtitles (SubRip, `.srt`) as a dialogue: who speaks where the text says so, and
`#UNKNOWN#` where it doesn't.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..errors import DataFormatError

UNKNOWN = "#UNKNOWN#"

_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})(?:[,.](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_MARKUP = re.compile(r"</?(?:i|b|u|s|font|c|v)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)
_DASH = re.compile(r"^\s*(?:[-‐‑–—]|>>)\s*(?=\S)")
_REMARK = re.compile(r"\([^)]*\)|\[[^]]*\]")
_NAME = re.compile(r"\s*([^\W\d_][^:]{0,39}?)\s*:(?!//)")


def is_subtitles(text: str) -> bool:
    """Whether the first or second line that isn't blank holds the times of a cue."""
    lines = (line for line in text.lstrip().split("\n", 8)[:8] if line.strip())
    return any(_TIMES.fullmatch(line.rstrip("\r")) for _, line in zip(range(2), lines, strict=False))


def subtitle_turns(text: str, name: str) -> list[dict[str, Any]]:
    """`{"speaker", "text", "start", "end"}` (seconds) for each cue, or for each line of a
    cue that a dash or a name sets apart.

    A speaker is what stands in capitals before a colon (`MONICA: We had a deal!`). In a
    file where most lines begin with a capitalised name, those that come again count as
    well (`Monica: …`; `Listen: …` is no name). Nobody is guessed: a turn without a name
    is `#UNKNOWN#`'s, whoever spoke before it.

    Raises:
        DataFormatError: naming the line, for text outside a cue or times that can't be
            read.
    """
    cues = list(_cues(text, name))
    names = _capitalised_names([line for _, _, lines in cues for line in lines])
    turns = []
    for start, end, lines in cues:
        for piece in _pieces(lines, names):
            speaker, said = _speaker(piece, names) or (UNKNOWN, piece)
            turns.append({"speaker": speaker, "text": said, "start": start, "end": end})
    return turns


def _cues(text: str, name: str) -> Iterator[tuple[float, float, list[str]]]:
    """(start, end, lines of text) of each cue. Blank lines may stand inside a cue: it
    ends where the next one's times stand.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    starts = []
    for number, line in enumerate(lines):
        if _TIMES.fullmatch(line):
            starts.append(number)
        elif "-->" in line:
            raise DataFormatError(
                f"{name}, line {number + 1}: no times in {line.strip()[:60]!r}; write 00:00:01,000 --> 00:00:02,500."
            )
    heads = [number - 1 if number and lines[number - 1].strip().isdigit() else number for number in starts]
    before = [number for number in range(heads[0] if heads else len(lines)) if lines[number].strip()]
    before = [number for number in before if not lines[number].strip().isdigit()] or before
    if before:
        raise DataFormatError(
            f"{name}, line {before[0] + 1}: {lines[before[0]].strip()[:60]!r} stands outside a subtitle."
        )
    for number, end in zip(starts, [*heads[1:], len(lines)], strict=True):
        match = _TIMES.fullmatch(lines[number])
        assert match is not None
        first, last = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
        yield (
            first,
            last,
            [line for line in (_MARKUP.sub("", line).strip() for line in lines[number + 1 : end]) if line],
        )


def _seconds(clock: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = clock
    return (
        int(hours or 0) * 3600
        + int(minutes or 0) * 60
        + int(seconds or 0)
        + int((fraction or "0").ljust(3, "0")) / 1000
    )


def _capitalised_names(lines: list[str]) -> frozenset[str]:
    """Names in small letters that count as speakers."""
    found: Counter[str] = Counter()
    for line in lines:
        words = _words_before_colon(line)
        if 0 < len(words) <= 4 and all(word[0].isupper() or word[0].isdigit() for word in words):
            found[" ".join(words)] += 1
    most = 2 * found.total() > len(lines)
    return frozenset(speaker for speaker, times in found.items() if most and times > 1)


def _pieces(lines: list[str], names: frozenset[str]) -> list[str]:
    """The lines of a cue → one text for each speaker; a line break alone is no new
    speaker, a dash or a name is.
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
    """(name, what is said) where a name stands before a colon: in capitals, or one of
    `names`.
    """
    words = _words_before_colon(text)
    speaker = " ".join(words)
    if speaker not in names and not (
        speaker == speaker.upper() and any(character.isalpha() for character in speaker)
    ):
        return None
    before, _, said = text.partition(":")
    return speaker, " ".join([*_REMARK.findall(before), said.strip()]).strip()


def _words_before_colon(text: str) -> list[str]:
    """The words of what may be a name, without a remark in brackets (`MONICA (on the
    phone): …`), which belongs to the text.
    """
    match = _NAME.match(_DASH.sub("", text, count=1))
    return _REMARK.sub("", match[1]).split() if match else []
