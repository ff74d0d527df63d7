"""Recognise time stamps, and the dates and clocks of which they and chats are made."""

import re
from functools import cache

_BLANK = r"[ \t\u00a0\u2009\u202f]"
DATE = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"  # in numbers
CJK_DAY = r"\d{1,2}\s?[月월]\s?\d{1,2}\s?[日일]"
CJK_DATE = rf"\d{{2,4}}\s?[年년]\s?{CJK_DAY}"
CJK_HALF = r"(?:上午|下午|凌晨|清晨|早上|早晨|中午|晚上|深夜|半夜|午前|午後|오전|오후)"
DAYS = (  # without the names of weekdays
    r"today|yesterday|heute|gestern|aujourd[’']hui|hier|hoy|ayer|hoje|ontem|oggi|ieri|vandaag|gisteren"
    r"|сегодня|вчера|bugün|dün|今日|昨日|今天|昨天|오늘|어제"
)
AT = r"at|um|à|a las|às|alle|om|в"
_CLOCK = (
    rf"(?:{CJK_HALF}\s?)?\d{{1,3}}:\d{{2}}(?::\d{{2}})?(?:[.,:;]\d{{1,6}})?"
    rf"(?:{_BLANK}?(?:[AaPp]\.?{_BLANK}?[Mm]|Uhr)\b\.?)?"
    rf"|\d{{1,2}}{_BLANK}?[AaPp]\.?[Mm]\b\.?"
)
_SPAN = (
    rf"\d{{1,3}}{_BLANK}?h{_BLANK}?\d{{1,2}}(?:{_BLANK}?m(?:in)?)?(?:{_BLANK}?\d{{1,2}}{_BLANK}?s)?"
    rf"|\d{{1,3}}{_BLANK}?m(?:in)?{_BLANK}?\d{{1,2}}{_BLANK}?s"
    r"|(?:\d{1,2} hours?,? )?\d{1,2} minutes?,? \d{1,2} seconds?"  # as Teams reads it out
    r"|(?:\d{1,2}(?:小?时|時間))?\d{1,3}分\d{1,2}秒"
)
_MONTH = (
    r"(?i:jan|feb|fev|fév|mar|mär|mrt|apr|abr|avr|may|mai|mei|mag|maj|jun|juin|giu|jul|juil|lug|aug|ago|août"
    r"|sep|set|okt|oct|out|ott|nov|dec|dez|dic|déc|ene|gen)[a-zä]{0,7}\.?"
)
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"  # only before a date
_DATE = (
    rf"{_WEEKDAY}(?:{DATE}|{_MONTH} \d{{1,2}},? \d{{4}}|\d{{1,2}}\.? (?:de )?{_MONTH} (?:de )?\d{{4}}"
    rf"|\d{{1,2}}-{_MONTH}-\d{{2,4}})"
    rf"|{CJK_DATE}|{CJK_DAY}"
)
# Weekdays alone count only with `at`: Anna Friday is a person.
_DAY = rf"(?i:{DAYS})(?i:,|{_BLANK}(?:{AT}))?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day at"
_ZONE = rf"(?:{_BLANK}?(?:Z|UTC|GMT|[+-]\d{{2}}:?\d{{2}}))?\b"
_TIME = rf"(?:{_CLOCK}|{_SPAN})"
_DAY_AND_TIME = (
    rf"(?:{_DATE})(?:(?:T|,?{_BLANK}{{1,3}}(?:at{_BLANK})?|_){_TIME}{_ZONE})?"
    rf"|\d{{1,2}}[/.]\d{{1,2}}\.?,?{_BLANK}{_TIME}|{_WEEKDAY}{_MONTH} \d{{1,2}} {_TIME} \d{{4}}"
)
_MOMENT = rf"(?:{_DAY_AND_TIME}|(?:{_DAY}){_BLANK}{_TIME}|{_TIME}(?:{_BLANK}(?:{_DATE}))?)"
_TO = rf"{_BLANK}{{0,3}}(?:-->|->|→|[-–—~]){_BLANK}{{0,3}}"
_STAMP = rf"(?<![\w:.,]){_MOMENT}(?:{_TO}{_MOMENT})?(?!\w)"
# In brackets only: seconds with a fraction or a unit, those since 1970, and 00'03".
_SECONDS = r"(?:\d{1,6}(?:[.,]\d{1,3}s?|s)|\d{10}(?:\.\d{1,6})?|\d{13}|\d{1,3}['′’]\d{2}[\"″”])"
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
_TRAILING = rf"(?:\s*[|,@•·]|\s+[-–—](?=\s)|\s+(?:at|on|am|le)(?=\s))?\s*(?:{_ANY}|\*{_ANY}\*|_{_ANY}_)\s*$"
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
    is_cut = match is not None and text[: match.start()].endswith(("(", "[", "<", "{", "（", "【"))
    return text[: match.start()] if match and not is_cut else None


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
