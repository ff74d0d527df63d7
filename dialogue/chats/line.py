"""Read chats as the messenger LINE exports them."""

import re
from itertools import pairwise

from ...errors import DataFormatError
from .log import FIRST_LINES, ChatLog, Message

_TITLE = re.compile(r"\[LINE\].*")
_SAVED = re.compile(
    r"(?:Saved on|保存日時|儲存日期|저장한 날짜|บันทึกเมื่อ|[^\s:：]{2,20}) ?[:：] ?[\d/., :年月日-]+(?:[AP]M)?"
)
_DAY = re.compile(
    r"(?:\w{2,9}\.?, )?\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}\.?\s?(?:[(（]\w{1,4}[)）]|[^\s\d\W]{1,10})?"
    r"|\d{4}年\d{1,2}月\d{1,2}日.{0,8}"
)
_CLOCK = r"(?:[^\W\d_]{2}\s?)?\d{1,2}:\d{2}(?:\s?[ap]\.?m\.?)?"
_MESSAGE = re.compile(rf"{_CLOCK}\t(?P<sender>[^\t]{{1,80}})\t(?P<text>.*)", re.IGNORECASE)
_CUT = re.compile(r"\d{1,2}(?::\d{0,2}(?:\s.{0,80})?)?")  # before the second tab
_NOTICE = re.compile(rf"{_CLOCK}\t\t?[^\t]*", re.IGNORECASE)
_BLANKS = re.compile(rf"{_CLOCK} \S+ .*", re.IGNORECASE)


def read_line(lines: list[str], name: str) -> ChatLog | None:
    """Read an export of LINE; None for another text.

    Raises:
        DataFormatError: for text before the first message, and for an export of the
            desktop program, which has no mark between name and text.
    """
    used = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    has_title = bool(used) and bool(_TITLE.fullmatch(used[0][1].strip()))
    body = used[1:] if has_title else used
    matched = sum(bool(_MESSAGE.fullmatch(line.strip())) for _, line in body[:FIRST_LINES])
    if not matched:
        if len(body) > 1 and (has_title or _DAY.fullmatch(body[0][1].strip())):
            _refuse_blanks(body, name)
        return None
    senders = [found["sender"] for _, line in body if (found := _MESSAGE.fullmatch(line.strip()))]
    if not has_title and all(sender.endswith((":", "：")) for sender in senders):
        return None  # a script with a time before each name
    first = next(line.strip() for _, line in body if not _is_between(line))
    if not (has_title or _MESSAGE.fullmatch(first) or _NOTICE.fullmatch(first)):
        return None
    log, quoted = ChatLog("LINE export"), False
    below_title = {number for (_, title), (number, _) in pairwise(used) if _TITLE.fullmatch(title.strip())}
    for number, line in body:
        line = line.strip()
        if match := _MESSAGE.fullmatch(line):
            text = match["text"]
            quoted = text.startswith('"') and text.count('"') % 2 == 1
            log.messages.append(Message(match["sender"], [text]))
        elif _NOTICE.fullmatch(line):
            quoted = False
            log.messages.append(Message(None, [line]))
        elif not quoted and (_is_between(line) or (number in below_title and _SAVED.fullmatch(line))):
            continue
        elif number == used[-1][0] and _CUT.fullmatch(line) and log.messages:
            raise DataFormatError(
                f"{name}, line {number}: {line!r} may be the beginning of a message that was cut off, or "
                "text of the message above; delete the line, or join it to the one above."
            )
        elif not log.messages:
            raise DataFormatError(
                f"{name}, line {number}: {line[:60]!r} stands before the first message; it may be the end of "
                "a message that was cut off, or a title: delete the line."
            )
        else:
            log.messages[-1].lines.append(line)
            quoted = quoted and line.count('"') % 2 == 0
    for message in log.messages:
        _unquote(message)
    return log


def is_line_message(line: str) -> bool:
    """Whether a line has a time, a name and a text between tabs."""
    return bool(_MESSAGE.fullmatch(line.strip()))


def _is_between(line: str) -> bool:
    line = line.strip()
    return bool(_DAY.fullmatch(line) or _TITLE.fullmatch(line))


def _unquote(message: Message) -> None:
    """Take off the quotes around a message of several lines."""
    lines = message.lines
    if len(lines) > 1 and lines[0].startswith('"') and lines[-1].endswith('"'):
        lines[0], lines[-1] = lines[0][1:], lines[-1][:-1]
        message.lines = [line.replace('""', '"') for line in lines]


def _refuse_blanks(body: list[tuple[int, str]], name: str) -> None:
    number, line = next(((number, line) for number, line in body if not _is_between(line)), (0, ""))
    if _BLANKS.fullmatch(line.strip()):
        words = line.split()
        raise DataFormatError(
            f"{name}, line {number}: LINE for computers writes no mark between name and text: is it "
            f"{words[1]!r}, or {' '.join(words[1:3])!r}, who speaks in {line.strip()[:60]!r}? Export the "
            "chat on a phone, or write a tab behind time and name."
        )
