"""Write turns as messengers and subtitle tools do."""

from collections.abc import Callable, Sequence

Turns = Sequence[tuple[str, str]]


def _clock(index: int) -> str:
    return f"{10 + index // 60 % 10}:{index % 60:02d}"


def whatsapp_android(turns: Turns) -> str:
    return "".join(f"12/05/23, {_clock(n)} - {name}: {text}\n" for n, (name, text) in enumerate(turns))


def whatsapp_iphone(turns: Turns) -> str:
    lines = (f"[12.05.23, {_clock(n)}:01] {name}: {text}\r\n" for n, (name, text) in enumerate(turns))
    return "\u200e" + "".join(lines)


def irc(turns: Turns) -> str:
    return "".join(
        f"[{_clock(n)}] <{name.replace(' ', '_')}> {text}\n" for n, (name, text) in enumerate(turns)
    )


def line(turns: Turns) -> str:
    head = "[LINE] Chat history with Anna\nSaved on: 05/12/2023 14:50\n\nFri, 05/12/2023\n"
    return head + "".join(f"{_clock(n)}\t{name}\t{text}\n" for n, (name, text) in enumerate(turns))


def discord(turns: Turns) -> str:
    rule = "=" * 62
    messages = (f"[12-May-23 {_clock(n)} AM] {name}\n{text}\n\n" for n, (name, text) in enumerate(turns))
    return (
        f"{rule}\nGuild: Won\n{rule}\n\n"
        + "".join(messages)
        + f"{rule}\nExported {len(turns)} message(s)\n{rule}\n"
    )


def telegram(turns: Turns) -> str:
    return "\n".join(f"{name}, [12.05.2023 {_clock(n)}]\n{text}\n" for n, (name, text) in enumerate(turns))


def _seconds(index: int) -> str:
    return f"{index // 3600:02d}:{index // 60 % 60:02d}:{index % 60:02d}"


def srt(turns: Turns) -> str:
    return "\n".join(
        f"{n + 1}\n{_seconds(n)},000 --> {_seconds(n + 1)},000\n[{name}]: {text}\n"
        for n, (name, text) in enumerate(turns)
    )


def vtt(turns: Turns) -> str:
    cues = (
        f"{_seconds(n)}.000 --> {_seconds(n + 1)}.000\n<v {name}>{text}</v>\n"
        for n, (name, text) in enumerate(turns)
    )
    return "\n".join(["WEBVTT\n", *cues])


def ass(turns: Turns) -> str:
    fields = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
    cues = (
        f"Dialogue: 0,{_seconds(n)[1:]}.00,{_seconds(n + 1)[1:]}.00,Default,{name},0,0,0,,{text}\n"
        for n, (name, text) in enumerate(turns)
    )
    return f"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\nFormat: {fields}\n" + "".join(
        cues
    )


# By the ending of a file.
WRITERS: dict[str, tuple[str, Callable[[Turns], str]]] = {
    "WhatsApp on Android": ("txt", whatsapp_android),
    "WhatsApp on iPhones": ("txt", whatsapp_iphone),
    "IRC": ("log", irc),
    "LINE": ("txt", line),
    "Discord": ("txt", discord),
    "Telegram": ("txt", telegram),
    "SubRip": ("srt", srt),
    "WebVTT": ("vtt", vtt),
    "ASS": ("ass", ass),
}
