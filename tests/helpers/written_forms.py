"""Write conversations in many forms, with names and texts that are hard to tell apart."""

import random

Turns = list[tuple[str, str]]

# `{n}` is the name, `{t}` the text, `{i}`, `{j}` and `{h}` count.
FORMS = {
    "script": "{n}: {t}\n",
    "double spacing": "{n}: {t}\n\n",
    "windows": "{n}: {t}\r\n",
    "full width": "{n}：{t}\n",
    "stamp": "[00:{i:02d}:01] {n}: {t}\n",
    "bare stamp": "00:{i:02d}:01 {n}: {t}\n",
    "12h": "{h}:45\u202fPM - {n}: {t}\n",
    "date": "2024-05-{i:02d} 14:45 {n}: {t}\n",
    "behind": "{n} (00:{i:02d}): {t}\n",
    "after colon": "{n}: [00:{i:02d}] {t}\n",
    "end stamp": "{n}: {t} [00:00:{i:02d}]\n",
    "in bracket": "[{n} 00:{i:02d}] {t}\n",
    "bullet": "- {n}: {t}\n",
    "number": "{i}. {n}: {t}\n",
    "quote": ">> {n}: {t}\n",
    "bold": "**{n}:** {t}\n\n",
    "heading": "### {n}\n{t}\n\n",
    "above": "{n}  0:{i:02d}\n{t}\n\n",
    "above first": "[00:{i:02d}] {n}\n{t}\n\n",
    "colon above": "{n}:\n{t}\n\n",
    "premiere": "00:00:{i:02d}:05 - 00:00:{i:02d}:10\n{n}\n{t}\n\n",
    "zoom": "00:12:{i:02d}\tFrom {n} to Everyone:\n\t{t}\n",
    "dash": "{n} - {t}\n",
    "pipe": "{n} | {t}\n",
    "tab": "{n}\t{t}\n",
    "bracket": "[{n}] {t}\n",
    "bracket colon": "[{n}]: {t}\n",
    "maxqda": "{n}: {t} #00:00:{i:02d}-0#\n\n",
    "fields": "Speaker: {n}\nText: {t}\n\n",
    "wa": "12/05/23, 2:{i:02d} PM - {n}: {t}\n",
    "wa ios": "[12.05.23, 14:{i:02d}:01] {n}: {t}\n",
    "signal": "[2023-05-12 14:{i:02d}:01] {n}: {t}\n",
    "irc": "14:{i:02d} <{n}> {t}\n",
    "irc bare": "<{n}> {t}\n",
    "tg": "{n}, [12.05.2023 14:{i:02d}]\n{t}\n\n",
    "dc": "{n} — Today at 2:{i:02d} PM\n{t}\n",
    "dce": "[12-May-23 02:{i:02d} PM] {n}\n{t}\n\n",
    "slack": "{n}  2:{i:02d} PM\n{t}\n",
    "teams": "[2:{i:02d} PM] {n}\n{t}\n",
    "gchat": "{n}, 2:{i:02d} PM\n{t}\n",
    "qq": "2023-05-12 14:{i:02d}:03 {n}\n{t}\n\n",
    "kakao": "[{n}] [오후 2:{i:02d}] {t}\n",
    "line": "14:{i:02d}\t{n}\t{t}\n",
    "srt": "{i}\n00:00:{i:02d},000 --> 00:00:{i:02d},900\n[{n}]: {t}\n\n",
    "srt colon": "{i}\n00:00:{i:02d},000 --> 00:00:{i:02d},900\n{n}: {t}\n\n",
    "vtt": "00:00:{i:02d}.000 --> 00:00:{i:02d}.900\n<v {n}>{t}</v>\n\n",
    "sbv": "0:00:{i:02d}.000,0:00:{i:02d}.900\n[{n}]: {t}\n\n",
    "csv": '{n},"{t}"\n',
    "tsv": "{n}\t{t}\n",
    "chat": "*{n}:\t{t}\n%mor:\tn|x\n",
    "chatml": "<|im_start|>{n}\n{t}<|im_end|>\n",
    "capitals above": "{n:>4}\n{t}\n\n",
    "bold name above": "**{n}**\n{t}\n\n",
    "bold stamp": "**{n}** *0:{i:02d}*\n{t}\n\n",
    "heading stamp": "### {n} (00:{i:02d})\n\n{t}\n\n",
    "fathom": "@0:{i:02d} - {n}\n{t}\n\n",
    "slack brackets": "{n} [2:{i:02d} PM]\n{t}\n",
    "kakao phone": "2023년 5월 12일 오후 2:{i:02d}, {n} : {t}\n",
    "meeting chat 2": "14:{i:02d}:01 From {n} to Everyone : {t}\n",
    "underscore": "__{n}__: {t}\n",
    "arrow list": "→ {n}: {t}\n",
    "znc": "[14:{i:02d}:01] <{n}> {t}\n",
    "weechat": "14:{i:02d}:01 {n} | {t}\n",
    "pidgin": "(14:{i:02d}:01) {n}: {t}\n",
    "skype": "[14:{i:02d}:01] {n}: {t}\n",
    "stamp line above": "[00:{i:02d}]\n{n}: {t}\n\n",
    "range above": "00:00:{i:02d} --> 00:00:{j:02d}\n{n}: {t}\n\n",
    "emdash": "{n} — {t}\n",
    "dot": "{n}. {t}\n",
    "says": "{n} said: {t}\n",
    "teams copy": "{n}\n5/12/2023 2:{i:02d} PM\n{t}\n",
    "imessage": "May 12, 2023  2:{i:02d}:01 PM\n{n}\n{t}\n\n",
    "ass": "Dialogue: 0,0:00:{i:02d}.00,0:00:{i:02d}.90,Default,{n},0,0,0,,{t}\n",
    "srt bare above": "{i}\n00:00:{i:02d},000 --> 00:00:{i:02d},900\n[{n}]\n{t}\n\n",
    "pipe stamps": "00:{i:02d} | {n} | {t}\n",
}
STARTS = {
    "vtt": "WEBVTT\n\n",
    "csv": "speaker,text\n",
    "tsv": "speaker\ttext\n",
    "chat": "@Begin\n",
    "ass": "[Script Info]\n"
    "ScriptType: v4.00+\n"
    "\n"
    "[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n",
}
ENDS = {"chat": "@End\n"}
_NAMES = [
    "Anna",
    "Ben",
    "Cleo",
    "Dr. O'Neil-Smith",
    "Anna van Dam",
    "小明",
    "SPEAKER_00",
    "SPEAKER_01",
    "Женя",
    "MR. SMITH",
    "Mary Jane Watson",
    "KIM LEE",
    "Zoë",
    "José García",
    "김철수",
    "Interviewer",
    "Q",
    "محمد",
]
_OF_FORM = {
    "chat": ["ANN", "BEN", "CLE"],
    "chatml": ["user", "assistant"],
    **{form: ["anna", "ben", "cleo", "Zed", "x_99"] for form in ("irc", "irc bare", "znc", "weechat")},
    **{form: ["ANNA", "BEN", "CLEO", "MARY JANE", "ANNA VAN DAM"] for form in ("capitals above", "dot")},
}
_TEXTS = [
    "We won!",
    "Great: yes.",
    "and then",
    "At 12:30: go.",
    "Marie Curie: a life.",
    "so it is",
    "I said: no - really.",
    "See https://x.org/a:b",
    "yes",
    "12:30",
    "Ben is here.",
    "Rule One: run.",
    "reason: we won",
    "ok :)",
    "It was 2:45 PM.",
    "WE WON TODAY",
    "STOP: NOW",
    "[laughs] yes",
    "(whispering) No.",
    "See [1] and [2].",
    "She <really> did.",
    "https://example.org",
    "我们赢了！",
    "他说：好。",
    "Мы победили!",
    "ربحنا!",
    "*sighs* Fine.",
    "1. First",
    "- one",
    "#1 of 2",
    "[Ben] is the name",
    "Hello, Anna",
    "Anna",
    "10:15 AM",
    "a | b",
    "one - two",
    "Dear all, the meeting at 12:30 - 13:30 is off.",
    "What? Who: me?",
    "e.g. this: that",
    "C:\\x",
    "🎉",
    'She said "no: never".',
    "No",
    "Well, I went home and then I thought: why not? So I did.",
]


def drawn_turns(form: str, draw: random.Random, least: int) -> Turns:
    """Draw up to eight turns of two people or three, of whom one speaks twice."""
    while True:
        names = _OF_FORM.get(form, _NAMES)
        names = draw.sample(names, min(draw.choice([2, 2, 3]), len(names)))
        turns = [(draw.choice(names), draw.choice(_TEXTS)) for _ in range(draw.randint(least, 8))]
        if form in ("vtt", "ass"):  # there, `[Ben]` at the start is the voice
            turns = [(name, text.replace("[Ben]", "[Kim]")) for name, text in turns]
        if 1 < len({name for name, _ in turns}) < len(turns):
            return turns


def written(form: str, turns: Turns, start: int = 1) -> str:
    """Write turns in a form, counted from `start`."""
    body = "".join(
        FORMS[form].format(
            n=name, t=text.replace('"', '""') if form == "csv" else text, i=i, j=i + 1, h=(i - 1) % 12 + 1
        )
        for i, (name, text) in enumerate(turns, start)
    )
    return STARTS.get(form, "") + body + ENDS.get(form, "")
