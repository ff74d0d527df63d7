"""Read subtitles and captions: every cue becomes a turn, or several.

Speakers are those that the file names; others are `#UNKNOWN#`.
"""

import html
import re
from typing import Any

from ...errors import DataFormatError
from ..reading import UNKNOWN, Conversation, Reading
from .cues import Cue, form_of, read_cues
from .names import Speakers, is_name_in_brackets, is_name_line, is_sound, without_dash

_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(\s[^<>]*)?>|</v\s*>", re.IGNORECASE)
_CUT_NAME = re.compile(r"<v[\s.][^<>]*$|^\[[^\[\]]{0,40}$")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,7}|#x[\da-fA-F]{1,6});")
_TAGS = re.compile(r"</?(?:i|b|u|s|font|c|ruby|rt|lang)\b[^<>]*>|\{\\[^{}]*\}", re.IGNORECASE)
_STAMP = re.compile(r"<(?:\d+:)?\d{1,2}:\d{2}\.\d{1,3}>")  # karaoke, and what YouTube recognised
_BOLD = re.compile(r"^\*\*([^*]{1,60}:?)\*\*(?=:|\s)")  # a name as in Markdown
_ARROWS = re.compile(r"(?<=\s)(?=>>)")


def read(text: str, name: str) -> Reading | None:
    """Read subtitles and captions; None for a text in another form.

    A cue is one turn, or several where a voice, a dash, `>>` or a name starts a line. The
    speaker is the cue's voice (`<v Monica>`) or actor, a label of a diarizer, or a name
    before the text, see [`Speakers`]. Speakers are never guessed: a turn without a name
    is `#UNKNOWN#`'s, whoever spoke before it. Cues of sounds (`[door slams]`) and music
    stay turns, so that turns join with the cues; a note counts them.

    Turns have `start` and `end` in seconds.

    Raises:
        DataFormatError: naming the line, for text outside a cue or invalid times.
    """
    form = form_of(text, name)
    if form is None:
        return None
    title, cues, notes = read_cues(text, name, form)
    if form in ("vtt", "sbv", "sami", "ttml"):
        for cue in cues:
            cue.lines = [
                html.unescape(line) if "<" not in html.unescape(line) else line for line in cue.lines
            ]
    if any("WEBVTT" in cue.lines for cue in cues):
        raise DataFormatError(
            f"{name}: WEBVTT stands within a cue; put the two files into files of their own."
        )
    if cues and _CUT_NAME.search(cues[-1].lines[-1] if cues[-1].lines else ""):
        raise DataFormatError(
            f"{name}, cue {len(cues)}: {cues[-1].lines[-1][:60]!r} has no end: the file may be cut off; "
            "close the bracket, or delete the cue."
        )
    notes += _without_rolling_lines(cues)
    _take_names_above(cues, name)
    turns, speakers = _turns(cues)
    if speakers.doubtful:
        words = ", ".join(map(repr, speakers.doubtful[:3])) + " …" * (len(speakers.doubtful) > 3)
        notes.append(f"{words} before a colon taken for text (write `[name]: …` for a speaker)")
    sounds = sum(is_sound(turn["text"]) for turn in turns)
    if sounds:
        notes.append(f"{sounds} turn{'s' * (sounds > 1)} of sounds or music only")
    return Reading(title, [Conversation("0", turns)], notes)


def _turns(cues: list[Cue]) -> tuple[list[dict[str, Any]], Speakers]:
    parted = [_voices(cue) for cue in cues]
    known = frozenset(speaker for parts in parted for speaker, _ in parts if speaker)
    speakers = Speakers([lines for parts in parted for speaker, lines in parts if not speaker], known)
    turns = []
    for cue, parts in zip(cues, parted, strict=True):
        times = {} if cue.start is None else {"start": cue.start, "end": cue.end}
        for voice, lines in parts:
            if voice:
                found = [(voice, _without_name(" ".join(lines), voice, speakers))]
            else:
                pieces = _pieces(lines, speakers)
                found = [speakers.split(piece) or (UNKNOWN, piece) for piece in pieces]
            turns += [{"speaker": speaker, "text": utterance, **times} for speaker, utterance in found]
    return turns, speakers


def _voices(cue: Cue) -> list[tuple[str, list[str]]]:
    """Split a cue at its voice tags: (name, or empty, and lines without markup)."""
    parts: list[tuple[str, list[str]]] = []
    voice, position = cue.actor, 0
    text = "\n".join(cue.lines)
    for tag in [*_VOICE.finditer(text), None]:
        plain = _unescaped(_STAMP.sub("", _TAGS.sub("", text[position : tag.start() if tag else len(text)])))
        lines = [line for part in plain.split("\n") if (line := _BOLD.sub(r"\1", " ".join(part.split())))]
        for index in range(len(lines) - 2, -1, -1):  # `[Anna]` above its text
            if is_name_in_brackets(lines[index]) and not is_name_in_brackets(lines[index + 1]):
                lines[index : index + 2] = [f"{lines[index]} {lines[index + 1]}"]
        if lines:
            parts.append((voice, lines))
        if tag:
            voice, position = " ".join(_unescaped(tag[1] or "").split()) or cue.actor, tag.end()
    return parts or [(cue.actor, [])]


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def _without_name(text: str, voice: str, speakers: Speakers) -> str:
    """Take the voice's name from the text where it stands there once more."""
    named = speakers.split(text)
    return named[1] if named and named[0].casefold() == voice.casefold() else text


def _pieces(lines: list[str], speakers: Speakers) -> list[str]:
    """Join the lines of a cue into one text for each turn.

    A dash, `>>` or a name starts a new turn, a line break alone does not.
    """
    pieces: list[list[str]] = []
    for part in (part for line in lines for part in _ARROWS.split(line)):
        dash, utterance = without_dash(part.strip())
        if dash or not pieces or speakers.split(utterance):
            pieces.append([utterance])
        else:
            pieces[-1].append(utterance)
    return [" ".join(piece) for piece in pieces] or [""]


def _take_names_above(cues: list[Cue], name: str) -> None:
    """Take first lines for names where every cue has one and they return, as in Teams.

    Raises:
        DataFormatError: for first lines that look like names, none of which returns.
    """
    names = [cue.lines[0].strip() for cue in cues if len(cue.lines) > 1 and not cue.actor]
    if len(names) == len(cues) > 1 and all(map(is_name_line, names)):
        if len(set(names)) == len(names):
            raise DataFormatError(
                f"{name}, cue 1: {names[0][:60]!r} above its text may be a speaker, or the first line of the "
                f"text, as in all cues; write `{names[0][:60]}: …`, or join the lines of each cue."
            )
        for cue in cues:
            cue.actor = " ".join(cue.lines.pop(0).split())


def _without_rolling_lines(cues: list[Cue]) -> list[str]:
    """Leave out the lines that rolling captions show again in the next cue.

    YouTube's own captions have stamps within their lines and repeat each line once or
    twice as it moves up.
    """
    if not any(_STAMP.search(line) for cue in cues for line in cue.lines):
        return []
    repeated, above = 0, ""
    kept = []
    for cue in cues:
        plain = [" ".join(_STAMP.sub("", _TAGS.sub("", line)).split()) for line in cue.lines]
        again = bool(plain) and plain[0] == above
        above = plain[-1] if plain else above
        repeated += again
        cue.lines = cue.lines[again:]
        if cue.lines:
            kept.append(cue)
    cues[:] = kept
    return [f"{repeated} repeated lines of rolling captions left out"] if repeated else []
