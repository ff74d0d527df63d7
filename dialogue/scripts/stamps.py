"""Recognise time stamps at either end of a piece of text."""

import re
from functools import cache

_BLANK = r"[ \t\u00a0\u2009\u202f]"
_CLOCK = (
    rf"\d{{1,3}}:\d{{2}}(?::\d{{2}})?(?:[.,:;]\d{{1,6}})?(?:{_BLANK}?(?:[AaPp]\.?{_BLANK}?[Mm]|Uhr)\b\.?)?"
    rf"|\d{{1,2}}{_BLANK}?[AaPp]\.?[Mm]\b\.?"
)
_SPAN = (
    rf"\d{{1,3}}{_BLANK}?h{_BLANK}?\d{{1,2}}(?:{_BLANK}?m(?:in)?)?(?:{_BLANK}?\d{{1,2}}{_BLANK}?s)?"
    rf"|\d{{1,3}}{_BLANK}?m(?:in)?{_BLANK}?\d{{1,2}}{_BLANK}?s"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Mai|Jun|Jul|Aug|Sep|Okt|Oct|Nov|Dec|Dez)[a-zä]{0,6}\.?"
_DATE = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    rf"|{_MONTH} \d{{1,2}},? \d{{4}}|\d{{1,2}}\.? {_MONTH} \d{{4}}"
)
# Weekdays count only with `at`: Anna Friday is a person.
_DAY = (
    r"(?i:today|yesterday|heute|gestern|aujourd[’']hui|hier|hoy|ayer|hoje|ontem|oggi|ieri|vandaag|gisteren"
    r"|сегодня|вчера)(?i:,| at| um| à| a las| às| alle| om| в)?"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day at"
)
_ZONE = rf"(?:{_BLANK}?(?:Z|UTC|GMT|[+-]\d{{2}}:?\d{{2}}))?\b"
_TIME = rf"(?:{_CLOCK}|{_SPAN})"
_DAY_AND_TIME = (
    rf"(?:{_DATE})(?:(?:T|,?{_BLANK}{{1,3}}(?:at{_BLANK})?|_){_TIME}{_ZONE})?"
    rf"|\d{{1,2}}[/.]\d{{1,2}}\.?,?{_BLANK}{_TIME}"
)
_MOMENT = rf"(?:{_DAY_AND_TIME}|(?:{_DAY}){_BLANK}{_TIME}|{_TIME}(?:{_BLANK}(?:{_DATE}))?)"
_TO = rf"{_BLANK}{{0,3}}(?:-->|->|→|[-–—~]){_BLANK}{{0,3}}"
_STAMP = rf"(?<![\w:.,]){_MOMENT}(?:{_TO}{_MOMENT})?(?!\w)"
# Seconds alone are a stamp in brackets only, and only with a fraction or a unit.
_SECONDS = r"\d{1,6}(?:[.,]\d{1,3}s?|s)"
_EDITED = rf"(?: \| (?:Edited|Removed) {_MOMENT})?"  # as Skype writes it
_INNER = rf"{_BLANK}{{0,3}}(?:{_STAMP}|{_SECONDS}(?:{_TO}{_SECONDS})?){_EDITED}{_BLANK}{{0,3}}"
_OF_AUDIO = r"#\d{1,2}:\d{2}:\d{2}(?:[-.,]\d{1,3})?#"  # as MAXQDA and f4 write it
_IN_BRACKETS = rf"(?:[\[(<{{（【]{_INNER}[\])>}}）】]|{_OF_AUDIO})"
_ANY = rf"(?:{_IN_BRACKETS}|{_STAMP})"
_TWO_SECONDS = (
    r"\d{1,6}\.\d{1,6}(?:[ \t]+|[-–])\d{1,6}\.\d{1,6}[ \t]+(?=\S)"  # start and end, as diarizers write
)
_LEADING = rf"\s*@?{_ANY}(?:\s*[|,•·]|\s+[-–—](?=\s)|:(?=\s))?\s*|{_TWO_SECONDS}"
_LEADING_IN_BRACKETS = rf"\s*{_IN_BRACKETS}\s*"
_TRAILING = rf"(?:\s*[|,@•·]|\s+[-–—](?=\s)|\s+at(?=\s))?\s*(?:{_ANY}|\*{_ANY}\*|_{_ANY}_)\s*$"
_TRAILING_IN_BRACKETS = rf"\s*{_IN_BRACKETS}\s*$"
_BETWEEN = rf"(?:(?:\t|[ \t]{{2,}}){_STAMP}){{1,4}}(?:\t|[ \t]{{2,}})"
_OF_AUDIO_AT_END = rf"\s*{_OF_AUDIO}\s*$"
_WHOLE = rf"\s*{_ANY}\s*"
_LONGEST = 70  # characters of a stamp with its separators


def without_leading_stamp(text: str, brackets_only: bool = False) -> str | None:
    """Cut the stamp at the start (`[00:01:02] Anna`); None where there is none."""
    if not _has_digit(text[:_LONGEST]):
        return None
    pattern = _compiled(_LEADING_IN_BRACKETS if brackets_only else _LEADING)
    match = pattern.match(text, 0, _LONGEST)
    return text[match.end() :] if match else None


def without_trailing_stamp(text: str, brackets_only: bool = False) -> str | None:
    """Cut the stamp at the end (`Anna (00:01)`); None where there is none."""
    if not _has_digit(text[-_LONGEST:]):
        return None
    pattern = _compiled(_TRAILING_IN_BRACKETS if brackets_only else _TRAILING)
    match = pattern.search(text, max(0, len(text) - _LONGEST))
    return text[: match.start()] if match else None


def is_stamp(text: str) -> bool:
    """Whether the text is a stamp and nothing else."""
    if len(text) > _LONGEST or not _has_digit(text):
        return False
    return _compiled(_WHOLE).fullmatch(text) is not None


def around_stamp(text: str) -> tuple[str, str] | None:
    """Split at a stamp in brackets or columns (`Anna [0:03] We won!`), or None."""
    if not _has_digit(text):
        return None
    match = _compiled(_LEADING_IN_BRACKETS).search(text) or _compiled(_BETWEEN).search(text)
    return (text[: match.start()], text[match.end() :]) if match else None


def without_audio_stamp(text: str) -> str:
    """Cut the stamp that MAXQDA and f4 write behind a paragraph: `#00:01:02-5#`."""
    return _compiled(_OF_AUDIO_AT_END).sub("", text) if text.endswith("#") else text


def _has_digit(text: str) -> bool:
    """Whether the text may hold a stamp: each has a digit."""
    return any(character.isdigit() for character in text)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile on first use: these large patterns take a third of a second."""
    return re.compile(pattern)
