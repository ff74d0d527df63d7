"""Recognise the line that begins a message, for each messenger.

A head gives the sender (None for a notice) and the text on its own line.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..stamps import AT, CJK_DATE, CJK_HALF, DAYS
from .phrases import MARKS, is_system_sender

Head = tuple[str | None, str]

_WORD = r"[^\s\d,:;\[\]()<>/–—|-]{1,12}"
_DATE = (
    r"(?:\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}\.?(?:\sг\.)?"
    rf"|{CJK_DATE}"
    rf"|(?:{_WORD},?\s)?\d{{1,2}}\.?[\s-](?:de\s)?{_WORD}\.?,?[\s-](?:de\s)?\d{{2,4}}(?:\sг\.)?"
    rf"|(?:{_WORD},?\s)?{_WORD}\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{4}})"
)
_CLOCK = r"\d{1,2}(?:[:.]|\s?h\s?)\d{2}(?:[:.]\d{2})?"
# As before or after noon in scripts of which names are rarely written next to a time:
# अपराह्न, μ.μ. But not in Cyrillic, Han, kana and hangul: there, known words only.
_LETTER = r"\x00-\u024f\u0400-\u052f\u2000-\u206f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_OTHER_SCRIPT = rf"(?:{CJK_HALF}|[воч]\.?|[^{_LETTER}][^{_LETTER}]{{0,11}}(?:\.[^{_LETTER}]{{1,3}}\.?)?)"
_HALF = (
    r"(?:\s?(?:[ap]\.?\s?m\b\.?|uhr|hs?|hrs|ip\.?|ap\.?|[ef]m|sa|ch|öö|ös|[mp]d|[vn]m\.?|ptg|pg|nachm\.|vorm\."
    rf"|odp\.|dop\.|[πμ]\.?μ\.?|{_OTHER_SCRIPT}))?"
)
_BEFORE = (
    r"(?:(?:at|à|um|a las?|às|alle|om|klo|kl\.?|o|la|saat|den|de\.|du\.|d[eu]|[ap]m|öö|ös|sa|ch"
    rf"|{_OTHER_SCRIPT})\s?)?"
)
_TIME = rf"{_BEFORE}{_BEFORE}{_CLOCK}{_HALF}"  # at 2:45 PM, um 14:45 Uhr, 下午2:45
_STAMP = rf"{_DATE}[,،、T]?\s*{_TIME}"
_DAY = rf"(?:(?:last\s)?(?:{DAYS}|mon\w*|tue\w*|wed\w*|thu\w*|fri\w*|sat\w*|sun\w*),?\s?|{_DATE},?\s)"
_ANDROID = re.compile(rf"{_STAMP}(?:\s[-–—]\s|(?<=[\dMm.]):\s)(?P<rest>.*)", re.IGNORECASE)
_IPHONE = re.compile(rf"\[{_STAMP}\]\s?(?P<rest>.*)", re.IGNORECASE)
_COPIED = re.compile(
    rf"\[(?:{_TIME},\s{_DATE}|\d{{1,2}}[./-]\d{{1,2}}\.?,\s{_TIME})\]\s(?P<rest>.*)", re.IGNORECASE
)
_LONGEST_HEAD = 400  # characters before the text of a message
_SENDER = re.compile(r"(?P<sender>\S.{0,79}?):(?:\s(?P<text>.*)|$)")


@dataclass(frozen=True)
class ChatForm:
    """How a messenger writes a chat as text.

    Attributes:
        title: Its name, for people.
        head: The head of a line, or None.
        above: Whether the text stands below the head.
        weak: Whether other texts may have such lines: the first line must be a head, and
            two of them must be there.
        between: Lines that are no message: titles, days, the end.
        block: The line before attachments and reactions, up to the next message.
        notice: Messages that the messenger wrote itself.
        reaction: Lines below a message that others added.
    """

    title: str
    head: Callable[[str], Head | None]
    above: bool = False
    weak: bool = False
    between: re.Pattern[str] = field(default=re.compile(r"(?!)"))
    block: re.Pattern[str] = field(default=re.compile(r"(?!)"))
    notice: re.Pattern[str] = field(default=re.compile(r"(?!)"))
    reaction: re.Pattern[str] = field(default=re.compile(r"(?!)"))


def _rest_head(pattern: re.Pattern[str]) -> Callable[[str], Head | None]:
    """A head that ends with `Name: text`, or with a notice."""

    def head(line: str) -> Head | None:
        start = [index for index, char in enumerate(line[:_LONGEST_HEAD]) if not MARKS.match(char)]
        plain = "".join(line[index] for index in start) + line[_LONGEST_HEAD:]
        match = pattern.fullmatch(plain)
        if not match:
            return None
        named = _SENDER.fullmatch(plain, match.start("rest"))
        if not named or is_system_sender(named["sender"]):
            return None, match["rest"]
        # The marks in and before the text are kept: `chat_phrases` looks at them.
        first = named.start("text")
        after = start[first - 1] + 1 if 0 < first <= len(start) else len(line)
        return named["sender"], line[after:]

    return head


def _named_head(pattern: str) -> Callable[[str], Head | None]:
    """A head with the groups `sender` and, where the text is on its line, `text`."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def head(line: str) -> Head | None:
        match = compiled.fullmatch(MARKS.sub("", line).strip())
        return (match["sender"], match.groupdict().get("text") or "") if match else None

    return head


def _kakao_head(line: str) -> Head | None:
    line = MARKS.sub("", line).strip()
    if match := _KAKAO_PC.fullmatch(line) or _KAKAO_PHONE.fullmatch(line):
        return match["sender"], match["text"]
    notice = _KAKAO_NOTICE.fullmatch(line)
    return (None, line) if notice else None


_KAKAO_PC = re.compile(rf"\[(?P<sender>[^\[\]]{{1,60}})\] \[{_TIME}\] ?(?P<text>.*)", re.IGNORECASE)
_KAKAO_PHONE = re.compile(rf"{_STAMP}, (?P<sender>\S.{{0,59}}?) : (?P<text>.*)", re.IGNORECASE)
_KAKAO_NOTICE = re.compile(
    rf"(?:{_STAMP}[,:]\s)?\S.{{0,200}}(?:님이 (?:들어왔|나갔)습니다|님을 (?:초대했|초대하였|내보냈)습니다"
    r"|joined this chatroom|left this chatroom|invited .{1,60} to this chatroom)\.?",
    re.IGNORECASE,
)

_DISCORD_BLOCK = re.compile(r"\{(?:Attachments|Embed|Reactions|Stickers|Invite|Forwarded Message)\}")
_DISCORD_NOTICE = re.compile(
    r"Joined the server\.|Pinned a message\.|Started a call(?: that lasted .*)?\.|(?:Added|Removed) .*"
    r" (?:to|from) the group\.|Left the group\.|Changed the channel (?:name|icon).*|Started a thread\.?.*",
)
_SLACK_NOTICE = re.compile(
    r"(?:joined|left) (?:#\S+|the (?:channel|conversation))\.?|was added to #\S+ by .*|set the channel"
    r" (?:topic|purpose|description).*|renamed the channel .*|archived the channel\.?|added an integration .*"
)

_SIGNAL = re.compile(r"\[\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2})?\] (?P<rest>.*)")
SIGNAL = ChatForm("Signal export", _rest_head(_SIGNAL))
WHATSAPP = tuple(ChatForm("WhatsApp export", _rest_head(pattern)) for pattern in (_ANDROID, _IPHONE, _COPIED))
KAKAO = ChatForm(
    "KakaoTalk export",
    _kakao_head,
    between=re.compile(
        rf".*카카오톡 대화|.*KakaoTalk Chats?(?: with .*)?|(?:저장한 날짜|Date Saved) ?:.*|-{{5,}}.*-{{5,}}"
        rf"|{_STAMP}|{_DATE}(?: {_WORD})?",
        re.IGNORECASE,
    ),
)
TELEGRAM = ChatForm(
    "Telegram chat",
    _named_head(rf"(?P<sender>\S.{{0,79}}?), \[(?:{_STAMP}|{_TIME})\](?::\s?(?P<text>.*))?"),
    above=True,
    block=re.compile(r"(?!)"),
    between=re.compile(r"\[(?:In reply to|Forwarded from|Ответ на|Переслано от) .{1,80}\]"),
)
DISCORD_EXPORT = ChatForm(
    "Discord export",
    _named_head(rf"\[{_STAMP}\] (?P<sender>\S[^:]{{0,79}}?)(?: \(pinned\))?"),
    above=True,
    between=re.compile(
        r"={20,}|(?:Guild|Channel|Topic|After|Before): .*|Exported [\d.,]+ message\(s\)", re.IGNORECASE
    ),
    block=_DISCORD_BLOCK,
    notice=_DISCORD_NOTICE,
)
DISCORD_COPY = ChatForm(
    "Discord text",
    _named_head(rf"(?P<sender>\S.{{0,79}}?)\s?—\s?{_DAY}?{_TIME}"),
    above=True,
    between=re.compile(rf"\[{_TIME}\]|[—–-]{{1,}}\s?{_DATE}\s?[—–-]{{1,}}", re.IGNORECASE),
    notice=_DISCORD_NOTICE,
)
SLACK = ChatForm(
    "Slack text",
    _named_head(
        r"(?P<sender>[^\s:](?:[^:]{0,58}?[^\s:])?)(?: ?:[\w+-]+:){0,3}(?: APP)?"
        rf"(?:\s{{2,}}{_CLOCK}\s?[AP]M| \[{_CLOCK}(?:\s?[AP]M)?\])"
    ),
    above=True,
    weak=True,
    reaction=re.compile(r":[\w+-]+:(?::skin-tone-\d:)? ?\d{1,4}"),
    between=re.compile(
        rf"\[?{_CLOCK}(?:\s?[AP]M)?\]?|-{{3,}}.*-{{3,}}|new messages|\d+ repl(?:y|ies)|last reply .* ago"
        r"|view thread|(?:mon|tues|wednes|thurs|fri|satur|sun)day, \w+ \d{1,2}(?:st|nd|rd|th)",
        re.IGNORECASE,
    ),
    notice=_SLACK_NOTICE,
)
TEAMS = ChatForm(
    "Teams chat",
    _named_head(
        rf"\[(?:{_DAY}|\d{{1,2}}[./]\d{{1,2}}\.?,?\s)?(?:(?:{AT}|{CJK_HALF})\s?)?{_CLOCK}(?:\s?[ap]\.?\s?m\.?|\suhr)?\]"
        r" (?P<sender>(?:[^\s:<>][^:<>]{0,58})?[^\s:<>.!?…])"
    ),
    above=True,
    weak=True,
    reaction=re.compile(r"(?:like|heart|laugh|surprised|sad|angry) \d{1,4}"),
)
GOOGLE_CHAT = ChatForm(
    "Google Chat text",
    _named_head(rf"(?P<sender>[^\s,:][^,:]{{0,59}}), {_DAY}?{_CLOCK}(?:\s?[ap]\.?m\.?)?(?:, edited)?"),
    above=True,
    weak=True,
)
QQ = ChatForm(
    "QQ or WeChat export",
    _named_head(
        rf"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}} {_CLOCK} '?(?P<sender>[^\s:：|<>\[\]-][^:：|<>\t]{{0,59}}?)'?"
        r"(?:\(\d{5,}\)|<[^<>\s]+@[^<>\s]+>)?"
    ),
    above=True,
    weak=True,
    between=re.compile(r"={20,}|消息(?:记录|分组|对象).*"),
)
IMESSAGE = ChatForm(
    "iMessage export",
    _named_head(rf"\w{{3}} \d{{2}}, \d{{4}}\s+{_CLOCK} [AP]M(?: \(Read by .*\))?\t(?P<sender>\S.{{0,79}})"),
    above=True,
    block=re.compile(r"Tapbacks:|Attachments?:"),
)
# Strong forms first; a form whose lines another one has as well comes behind it.
FORMS = (
    TELEGRAM,
    IMESSAGE,
    DISCORD_EXPORT,
    DISCORD_COPY,
    KAKAO,
    SIGNAL,
    *WHATSAPP,
    QQ,
    TEAMS,
    SLACK,
    GOOGLE_CHAT,
)
_IMESSAGE_DATE = re.compile(rf"\w{{3}} \d{{2}}, \d{{4}}\s+{_CLOCK} [AP]M(?: \(Read by .*\))?\s*")


def joined_heads(lines: list[str]) -> list[str]:
    """Join heads that stand on several lines: a date over a name, a name over its `—`."""
    lines = list(lines)
    for index, line in enumerate(lines[:-1]):
        if _IMESSAGE_DATE.fullmatch(line) and lines[index + 1].strip():
            lines[index], lines[index + 1] = f"{line.strip()}\t{lines[index + 1].strip()}", ""
        elif line.strip() == "—" and index and lines[index - 1].strip():
            lines[index - 1] = f"{lines[index - 1].strip()} — {lines[index + 1].strip()}"
            lines[index] = lines[index + 1] = ""
    return lines
