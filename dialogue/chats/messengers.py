"""Read chats as messengers export them, or as people copy them."""

import re

from ...errors import DataFormatError
from ..captions.cues import split_lines
from ..reading import Reading
from ..scripts.names import Likeness, likeness
from .heads import DISCORD_COPY, FORMS, SIGNAL, SLACK, WHATSAPP, ChatForm, Head, joined_heads
from .irc import is_stamped, read_irc
from .line import is_line_message, read_line
from .log import FIRST_LINES, ChatLog, Message
from .phrases import ATTACHMENT, MARKS, QUOTATION, REACTION

_HAS_CLOCK = re.compile(r"\d(?:[:.]|\s?h\s?)\d\d|님|chatroom")
_DASHED = re.compile(r"[^-–—:]{1,40} [-–—] \S")
_TIME_ALONE = re.compile(r"—\s?\d{1,2}[:.]\d\d")
_DIGIT = re.compile(r"\d")
_CUT = re.compile(r"[^\d]*0.*\W.*")  # a digit and a separator
_NAMED = re.compile(r"([^:]{1,80}):\s|<([^<>]{1,80})>\s")
_TIMES = re.compile(r"\s*[\d:.,]+\s*-->\s*[\d:.,]+(?:\s.*)?")
_MOST_QUOTED = 200  # last messages of a person of which one may be quoted
_LONGEST_BETWEEN = 300  # characters of a line that may be a title or a notice


def read(text: str, name: str) -> Reading | None:
    """Read a chat; None for a text in another form.

    Notices without a sender, messages without words (pictures, stickers, calls) and
    deleted messages are left out, and counted in the notes.

    Raises:
        DataFormatError: naming the line, for text before the first message, and for
            lines that look like messages of two forms.
    """
    lines = split_lines(text)
    for reader in (read_irc, read_line, _read_heads):
        log = reader(lines, name)
        if log is not None:
            return log.reading(name)
    return None


def _read_heads(lines: list[str], name: str) -> ChatLog | None:
    lines = joined_heads(lines)
    form = _form_of([line for line in lines if line.strip()][:FIRST_LINES])
    return None if form is None else _messages(lines, form, name)


def _form_of(lines: list[str]) -> ChatForm | None:
    """Find the form with the most messages among those that the text may have.

    The first line of a chat is the head of a message. Where two others are, the text is a
    chat with something above it, which `_messages` refuses.
    """
    best, most = None, (0, 0)
    for form in FORMS:
        used = [line for line in lines if not _is_between(line, form)]
        heads = [_head(line, form) for line in used]
        named = sum(head is not None and head[0] is not None for head in heads)
        score = named, sum(head is not None for head in heads)
        if score <= most:
            continue
        if form is DISCORD_COPY and _are_dashed(used, heads):
            continue  # `Anna — 12:30`, `Ben — We won!`
        if form.above:
            pairs = zip(heads, [*heads[1:], (None, "")], strict=True)
            below = sum(head is not None and after is None for head, after in pairs)
            if heads[0] is None or 2 * below < named or (form.weak and named < 2):
                continue
        elif form in WHATSAPP and all(head and _DASHED.match(head[0] or head[1]) for head in heads):
            continue  # `12/05/23, 14:45 - Anna - We won!`
        elif (named == 0 and None in heads) or (heads[0] is None and named < 2 and 2 * named < len(used)):
            continue
        best, most = form, score
    return best


def _are_dashed(lines: list[str], heads: list[Head | None]) -> bool:
    """Whether a name and a dash begin texts too, so that a time is what somebody says."""
    senders = {head[0] for head in heads if head is not None}
    if any(head and not _TIME_ALONE.search(line) for line, head in zip(lines, heads, strict=True)):
        return False
    texts = [line for line, head in zip(lines, heads, strict=True) if head is None]
    names = [line.partition(" — ")[0].strip() for line in texts if " — " in line]
    of_names = bool(names) and all(likeness(found) >= Likeness.NAME for found in names)
    return not senders.isdisjoint(names) or (of_names and len(names) >= len(texts) - (len(texts) > 1))


def _messages(lines: list[str], form: ChatForm, name: str) -> ChatLog:
    log = ChatLog(form.title)
    in_block = False
    for number, line in enumerate(lines, 1):
        head = _head(line, form)
        if head is not None:
            in_block = False
            log.messages.append(Message(head[0], [head[1]]))
        elif not line.strip() or (_is_between(line, form) and not _is_first_line(log, form)):
            continue
        elif len(line) < _LONGEST_BETWEEN and form.block.fullmatch(line.strip()):
            in_block = True
            log.left_out[ATTACHMENT] += 1
        elif in_block:
            continue
        elif log.messages and form.reaction.fullmatch(line.strip()):
            log.left_out[REACTION] += 1
        elif not log.messages:
            raise DataFormatError(
                f"{name}, line {number}: {line.strip()[:60]!r} stands before the first message of this "
                f"{form.title}; it may be the end of a message that was cut off, or a title: delete the line."
            )
        else:
            _refuse_other_form(line, form, name, number)
            _refuse_text_of_nobody(log, line, name, number)
            log.messages[-1].lines.append(line)
    if form is DISCORD_COPY:
        _leave_out_quotations(log)
    _refuse_cut(lines, form, name)
    _refuse_script(log, lines, name)
    for message in log.messages:
        words = MARKS.sub("", " ".join(message.lines)).strip()
        if len(words) < _LONGEST_BETWEEN and form.notice.fullmatch(words):
            message.sender = None
    return log


def _refuse_text_of_nobody(log: ChatLog, line: str, name: str, number: int) -> None:
    """Refuse a second text below a line without a sender, which is no notice then."""
    notice = log.messages[-1]
    if notice.sender is not None or len(notice.lines) > 1:
        return
    if any(message.sender is None and len(message.lines) > 1 for message in log.messages[:-1]):
        raise DataFormatError(
            f"{name}, line {number}: {line.strip()[:60]!r} stands below a line without a sender, "
            f"{notice.lines[0][:60]!r}: either somebody of that name speaks, or it belongs to a "
            "notice. Write `Name: text` behind each time, or join the lines of a notice."
        )


def _is_first_line(log: ChatLog, form: ChatForm) -> bool:
    """Whether a line of Slack is the first below a name: a time there was said."""
    return form is SLACK and bool(log.messages) and log.messages[-1].lines == [""]


def _leave_out_quotations(log: ChatLog) -> None:
    """Leave out `@Anna` and what she said, which Discord writes above a reply."""
    said: dict[str, list[str]] = {}
    for message in log.messages:
        name, quoted = (line.strip() for line in message.lines[-2:]) if len(message.lines) > 2 else ("", "")
        texts = said.setdefault((message.sender or "").casefold(), [])
        texts.append(" ".join(filter(None, map(str.strip, message.lines))))
        earlier = said.get(name[1:].casefold(), [])[-_MOST_QUOTED:] if name.startswith("@") else []
        if any(text.startswith(quoted) for text in earlier):
            del message.lines[-2:]
            log.left_out[QUOTATION] += 1


def _head(line: str, form: ChatForm) -> Head | None:
    return form.head(line) if _HAS_CLOCK.search(line) else None


def _is_between(line: str, form: ChatForm) -> bool:
    return len(line) < _LONGEST_BETWEEN and bool(form.between.fullmatch(line.strip()))


def _refuse_other_form(line: str, form: ChatForm, name: str, number: int) -> None:
    """Refuse a line in a message that is the head of a message in another form."""
    if not _HAS_CLOCK.search(line):
        return
    if _TIMES.fullmatch(line) or is_stamped(line) or is_line_message(line):
        raise DataFormatError(
            f"{name}, line {number}: {line.strip()[:60]!r} is no line of a {form.title}: it may begin "
            "something else, or belong to the message above. Put the two into files of their own."
        )
    stamped = (SIGNAL, *WHATSAPP)
    for other in (*stamped, *(other for other in FORMS if other not in stamped and not other.weak)):
        if other is not form and (head := _head(line, other)) is not None and head[0] is not None:
            raise DataFormatError(
                f"{name}, line {number}: {line.strip()[:60]!r} looks like a message of another "
                f"{other.title}: it may be one of its own, or a quotation in the message above. Put the two "
                "into files of their own, or join the line to the one above."
            )


def _refuse_cut(lines: list[str], form: ChatForm, name: str) -> None:
    """Refuse a last line that begins as the heads do: the export may be cut there."""
    number, last = next((at, line) for at, line in reversed(list(enumerate(lines, 1))) if line.strip())
    shape = _DIGIT.sub("0", last.strip()[:41])
    if len(shape) > 40 or not _CUT.fullmatch(shape) or _head(last, form) or _is_between(last, form):
        return
    if any(_head(line, form) and _DIGIT.sub("0", line[:60]).startswith(shape) for line in lines):
        raise DataFormatError(
            f"{name}, line {number}: {last.strip()!r} may be the beginning of a message that was cut off, or "
            "text of the message above; delete the line, or join it to the one above."
        )


def _refuse_script(log: ChatLog, lines: list[str], name: str) -> None:
    """Refuse a script of the same people behind the last message."""
    if not log.messages:
        return
    senders = {message.sender.casefold() for message in log.messages if message.sender}
    added = [line.strip() for line in log.messages[-1].lines[1:]]
    named = [
        line
        for line in added
        if (match := _NAMED.match(line)) and (match[1] or match[2]).casefold() in senders
    ]
    if len(named) > 1:
        number = max(index for index, line in enumerate(lines, 1) if line.strip() == named[0])
        raise DataFormatError(
            f"{name}, line {number}: {named[0][:60]!r} may belong to the message above, or begin a script; "
            "put the script into a file of its own, or join the line to the one above."
        )
