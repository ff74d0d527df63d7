"""Read logs of IRC clients: irssi, WeeChat, ZNC, mIRC, HexChat and others."""

import re

from ...errors import DataFormatError
from .log import FIRST_LINES, ChatLog, Message

_ZONE = r"(?:\.\d+)?(?:Z|\s?[+-]\d{2}:?\d{2})?"
_STAMP = (
    rf"(?:\[?(?:\d{{4}}-\d{{2}}-\d{{2}}[T ]|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}} |[A-Z][a-z]{{2}} \d{{1,2}} )?"
    rf"\d{{1,2}}:\d{{2}}(?::\d{{2}})?{_ZONE}(?: [AP]M)?\]?\s+)"
)
_NICK = r"[@+%~&! ]?[^\s<>|:@+%~&!][^\s<>|]{0,39}"
_NAME = r"[@+%~&! ]?[^\s<>|:@+%~&!][^<>|\t]{0,59}"  # of other messengers, with blanks
_SERVER = r"\[[^\[\]]{1,40}/[A-Z]{4,5}\](?: \[[^\[\]]{1,40}\])?: "  # as Minecraft's log begins
_SPEECH = re.compile(rf"(?P<stamp>{_STAMP})?(?:{_SERVER})?<(?P<nick>{_NAME})>(?:\s(?P<text>.*))?")
_PIPED = re.compile(
    rf"(?P<stamp>{_STAMP})(?![AP]M\b)(?P<nick>{_NICK}|\*|-->|<--|--|=!=) ?(?:\||│)(?:\s(?P<text>.*))?"
)
_TABBED = re.compile(r"(?P<stamp>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})\t(?P<nick>[^\t]{0,40})\t(?P<text>.*)")
_ACTION = re.compile(rf"{_STAMP}?\*\s+(?P<nick>[@+%~&!]?[^\s*]{{1,40}})\s(?P<text>.*)")
_NOTICE = re.compile(
    rf"{_STAMP}(?:-!-|\*{{3}}|-->|<--|--|=!=|-\S{{1,60}}-|[→←↔⇐⇒]|!\S).*"
    r"|(?:-!-|\*{3,4}\s|--- |===\s|-->\s|<--\s).*"
    rf"|{_STAMP}{_SERVER}[^<\s].*"
    r"|Session (?:Start|Close|Ident|Time): .*|\*{4} (?:BEGIN|ENDING) LOGGING.*|Log (?:opened|closed) .*"
)
_CHANGE = re.compile(
    r"(?:\([^()]*\) |\[[^\[\]]*\] )?(?:has joined|joined|has left|has quit|quit|left|sets mode"
    r"|is now known as|changes topic|changed the topic|has changed|was kicked|has kicked|gives channel"
    r"|removes channel|sets? )\b.*"
    r"|\S+ (?:was kicked|has joined|sets).*",
    re.IGNORECASE,
)
_OWN = re.compile(r"(?:Now talking (?:on|in)|Topic (?:for|is)|Set by|Disconnected|Connected|Rejoined|You ).*")
_NOTICES = frozenset(("-->", "<--", "--", "=!=", "", "***", "-!-"))
LEFT_OUT = "join, part or other notice"


def read_irc(lines: list[str], name: str) -> ChatLog | None:
    """Read an IRC log; None for another text.

    An action (`* anna waves`) is a turn of its person; joins, parts, modes and topics
    are left out.

    Raises:
        DataFormatError: naming a line that is no message, as messages have one line.
    """
    used = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    first = [_message(line) for _, line in used[:FIRST_LINES]]
    matched = [found for found in first if found is not None]
    speech = [found for found in matched if found[0] and not found[2]]
    stamped = bool(used) and bool(re.match(_STAMP, used[0][1]) or _NOTICE.fullmatch(used[0][1]))
    if not speech or len(matched) < (len(first) if not stamped else (len(first) + 1) // 2):
        return None
    log = ChatLog("IRC log")
    actions = 0
    for number, line in used:
        found = _message(line)
        if found is None:
            raise DataFormatError(
                f"{name}, line {number}: {line.strip()[:60]!r} is no message of an IRC log; write "
                "14:45 <name> text, or join it to the message above."
            )
        nick, text, action = found
        if nick is None:
            log.left_out[LEFT_OUT] += 1
        else:
            actions += action
            log.messages.append(Message(nick, [text]))
    if actions:
        log.notes.append(f"{actions} action{'s' * (actions > 1)} (`* name …`) read as turns")
    return log


def is_stamped(line: str) -> bool:
    """Whether a line is a message of an IRC log with its time."""
    match = _SPEECH.fullmatch(line.strip())
    return bool(match and match["stamp"])


def _message(line: str) -> tuple[str | None, str, bool] | None:
    """Parse a line: nick (None for a notice), text, and whether it is an action."""
    line = line.strip()
    match = _TABBED.fullmatch(line) or _SPEECH.fullmatch(line) or _PIPED.fullmatch(line)
    if match:
        nick, text = match["nick"].strip(), match["text"] or ""
        if nick == "*":
            nick, _, text = text.partition(" ")
            return nick.lstrip("@+%~&!"), text, True
        if nick in _NOTICES:
            return None, "", False
        return nick.lstrip("@+%~&!"), text, False
    if match := _ACTION.fullmatch(line):
        whole = f"{match['nick']} {match['text']}"
        if _CHANGE.fullmatch(match["text"]) or _OWN.fullmatch(whole):
            return None, "", False
        return match["nick"].lstrip("@+%~&!"), match["text"], True
    return (None, "", False) if _NOTICE.fullmatch(line) else None
