"""Read transcripts in CHAT, the format of CLAN, CHILDES and TalkBank.

Source: MacWhinney, Tools for Analyzing Talk, Part 1: The CHAT Transcription Format.
"""

import re
from collections import Counter

from ...errors import DataFormatError
from ...files.text import short
from ..reading import Conversation, Reading

_LINE_END = re.compile(r"\r\n|\r|\n")
_MAIN = re.compile(r"\*([^\s:]{1,30}):[\t ]*(.*)")
_BULLET = re.compile(r"\s*\x15[^\x15]*\x15")  # the times of the recording


def read(text: str, name: str) -> Reading | None:
    """Read a CHAT transcript; None for a text in another form.

    A main line (`*MOT:`) is a turn of that code. Headers (`@Begin`) and dependent tiers
    (`%mor:`) are left out and counted, and so are the times between bullets.

    Raises:
        DataFormatError: naming a line that belongs to none of these.
    """
    lines = [line.rstrip() for line in _LINE_END.split(text.replace("\ufeff", ""))]
    if not any(line.startswith("@Begin") for line in lines[:20]) or not any(map(_MAIN.match, lines)):
        return None
    turns: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    in_turn = False  # whether the line above belongs to a turn
    for number, line in enumerate(lines, 1):
        if match := _MAIN.match(line):
            in_turn = True
            turns.append({"speaker": match[1], "text": match[2]})
        elif line.startswith(("@", "%")):
            in_turn = False
            counts["header" if line[0] == "@" else "dependent tier"] += 1
        elif line[:1] in ("\t", " ") and line.strip():
            if in_turn:
                turns[-1]["text"] += " " + line.strip()
        elif line.strip():
            raise DataFormatError(
                f"{name}, line {number}: {short(line)} is no line of CHAT: either it goes on with the line "
                "above, or it is something else; begin it with a tab, or with *, % or @."
            )
    for turn in turns:
        turn["text"] = _BULLET.sub("", turn["text"]).strip()
    notes = [f"{count} {what}{'s' * (count > 1)} left out" for what, count in counts.items()]
    return Reading("CHAT transcript", [Conversation("0", [dict(turn) for turn in turns])], notes)
