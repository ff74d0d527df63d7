"""Texts as recorders, messengers and people write them, with their turns."""

import pytest

from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN

TWO = [("Anna", "We won!"), ("Ben", "Great.")]
FULL = [("Anna Bell", "We won!"), ("Ben", "Great.")]
CAPITALS = [("ANNA", "We won!"), ("BEN", "Great.")]

TEXTS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "WhatsApp message with date": (
        "chat.txt",
        (
            "12.05.23, 14:45 - Anna: We won!\n"
            "12.05.23, 14:46 - Ben: Am 13.05.23, 14:00 - Treffen: Bahnhof\n"
            "12.05.23, 14:47 - Anna: ok\n"
        ),
        [("Anna", "We won!"), ("Ben", "Am 13.05.23, 14:00 - Treffen: Bahnhof"), ("Anna", "ok")],
    ),
    "WhatsApp phone number": (
        "chat.txt",
        ("12/05/23, 2:45 PM - +44 7700 900123: We won!\n12/05/23, 2:46 PM - Ben: Great.\n"),
        [("+44 7700 900123", "We won!"), ("Ben", "Great.")],
    ),
    "WhatsApp tilde name": (
        "chat.txt",
        ("[12/05/23, 2:45:01 PM] ~ Anna: We won!\n[12/05/23, 2:46:01 PM] Ben: Great.\n"),
        TWO,
    ),
    "WhatsApp multi blank": (
        "chat.txt",
        ("12/05/23, 2:45 PM - Anna: We won!\n\nsecond par\n12/05/23, 2:46 PM - Ben: Great.\n"),
        [("Anna", "We won! second par"), ("Ben", "Great.")],
    ),
    "discord old copy": ("chat.txt", "Anna Today at 2:45 PM\nWe won!\nBen Today at 2:46 PM\nGreat.\n", TWO),
    "slack copy": ("chat.txt", "Anna Bell\n  2:45 PM\nWe won!\n\n\nBen\n  2:46 PM\nGreat.\n", FULL),
    "teams copy 2": (
        "chat.txt",
        ("Bell, Anna\n5/12/2023 2:45 PM\nWe won!\nSmith, Ben\n5/12/2023 2:46 PM\nGreat.\n"),
        [("Bell, Anna", "We won!"), ("Smith, Ben", "Great.")],
    ),
    "skype edited": (
        "chat.txt",
        ("[14:45:01] Anna: We won!\n[14:46:01 | Edited 14:46:10] Ben: Great.\n"),
        TWO,
    ),
    "pidgin": (
        "chat.txt",
        (
            "Conversation with ben at Fri 12 May 2023 14:45:00 on anna (jabber)\n"
            "(14:45:01) anna: We won!\n"
            "(14:46:01) ben: Great.\n"
        ),
        [("anna", "We won!"), ("ben", "Great.")],
    ),
    "vtt two v in cue": (
        "c.vtt",
        ("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Anna Bell>We won!</v>\n<v Ben>Great.</v>\n"),
        FULL,
    ),
    "vtt youtube arrows": (
        "c.vtt",
        (
            "WEBVTT\n"
            "\n"
            "00:00:01.000 --> 00:00:02.000\n"
            "&gt;&gt; We won!\n"
            "\n"
            "00:00:02.000 --> 00:00:03.000\n"
            "&gt;&gt; Great.\n"
        ),
        [(UNKNOWN, "We won!"), (UNKNOWN, "Great.")],
    ),
    "srt arrows": (
        "c.srt",
        ("1\n00:00:01,000 --> 00:00:02,000\n>> We won!\n\n2\n00:00:02,000 --> 00:00:03,000\n>> Great.\n"),
        [(UNKNOWN, "We won!"), (UNKNOWN, "Great.")],
    ),
    "srt caps URL": (
        "c.srt",
        (
            "1\n"
            "00:00:01,000 --> 00:00:02,000\n"
            "WWW.EXAMPLE.COM: GO\n"
            "\n"
            "2\n"
            "00:00:02,000 --> 00:00:03,000\n"
            "HTTP://X.ORG\n"
            "\n"
            "3\n"
            "00:00:03,000 --> 00:00:04,000\n"
            "ANNA: We won!\n"
        ),
        [(UNKNOWN, "WWW.EXAMPLE.COM: GO"), (UNKNOWN, "HTTP://X.ORG"), ("ANNA", "We won!")],
    ),
    "meet": (
        "call.txt",
        (
            "Meeting started 2023/05/12 14:45 CEST\n"
            "Attendees\n"
            "Anna Bell, Ben\n"
            "\n"
            "Transcript\n"
            "\n"
            "Anna Bell: We won!\n"
            "Ben: Great.\n"
            "\n"
            "Meeting ended after 00:12:03 👋\n"
        ),
        FULL,
    ),
    "teams docx 3": (
        "call.txt",
        (
            "May 12, 2023, 2:45PM\n"
            "\n"
            "Anna Bell started transcription\n"
            "\n"
            "Anna Bell   0:03\n"
            "We won!\n"
            "\n"
            "Ben   0:07\n"
            "Great.\n"
            "\n"
            "Anna Bell stopped transcription\n"
        ),
        FULL,
    ),
    "zoom chat dm": (
        "call.txt",
        (
            "14:45:01 From Anna Bell to Everyone:\n"
            "\tWe won!\n"
            "14:45:30 From Ben to Anna Bell(Direct Message):\n"
            "\tGreat.\n"
        ),
        FULL,
    ),
    "zoom chat reply": (
        "call.txt",
        (
            "14:45:01 From Anna Bell to Everyone:\n"
            "\tWe won!\n"
            "14:45:30 From Ben to Everyone:\n"
            '\tReplying to "We won!"\n'
            "\n"
            "\tGreat: at last.\n"
        ),
        [("Anna Bell", "We won!"), ("Ben", "Great: at last.")],
    ),
    "zoom reaction": (
        "call.txt",
        (
            "14:45:01 From Anna Bell to Everyone:\n"
            "\tWe won!\n"
            "14:45:30 From Ben to Everyone:\n"
            '\tReacted to "We won!" with 👍\n'
        ),
        [("Anna Bell", "We won!")],
    ),
    "ratio": (
        "call.txt",
        "Anna: we won 3:1\nBen: John 3:16 says: go.\nAnna: :) :D\n",
        [("Anna", "we won 3:1"), ("Ben", "John 3:16 says: go."), ("Anna", ":) :D")],
    ),
    "goes on with bible": (
        "call.txt",
        "Anna: He read\nJohn 3:16 and Mark 2:3\nBen: Great.\n",
        [("Anna", "He read John 3:16 and Mark 2:3"), ("Ben", "Great.")],
    ),
    "goes on with code": (
        "call.txt",
        "Anna: I use\nstd::vector<int> v;\nBen: C:\\temp\\x is gone\n",
        [("Anna", "I use std::vector<int> v;"), ("Ben", "C:\\temp\\x is gone")],
    ),
    "goes on with code2": (
        "call.txt",
        "Anna: I use\nFoo::bar();\nC:\\temp: gone\nBen: ok\n",
        [("Anna", "I use Foo::bar(); C:\\temp: gone"), ("Ben", "ok")],
    ),
    "goes on with re": (
        "call.txt",
        ("Anna: mail\nRe: your letter\nTL;DR: no\nP.S.: bye\nNote: x\nBen: ok\n"),
        [("Anna", "mail Re: your letter TL;DR: no P.S.: bye Note: x"), ("Ben", "ok")],
    ),
    "goes on with emoticon": (
        "call.txt",
        "Anna: nice\n:)\n:D\nBen: ok :/\n",
        [("Anna", "nice :) :D"), ("Ben", "ok :/")],
    ),
    "interview full then initials": (
        "call.txt",
        "Anna Bell: We won?\nBen Carter: Great.\nAB: Why?\nBC: So.\n",
        [("Anna Bell", "We won?"), ("Ben Carter", "Great."), ("AB", "Why?"), ("BC", "So.")],
    ),
    "court Q. A.": (
        "call.txt",
        "Q. Where were you?\nA. At home.\nTHE WITNESS: What?\n",
        [("Q", "Where were you?"), ("A", "At home."), ("THE WITNESS", "What?")],
    ),
    "ja brackets": (
        "call.txt",
        "アンナ「勝った！」\nベン「すごい」\n",
        [("アンナ", "勝った！"), ("ベン", "すごい")],
    ),
    "ar bidi": (
        "call.txt",
        "\u200fآنا: فزنا!\u200f\n\u202bبن: رائع\u202c\n",
        [("آنا", "فزنا!"), ("بن", "رائع")],
    ),
    "mixed ends": (
        "call.txt",
        "Anna: We won!\r\nBen: Great.\rAnna: Yes.\nBen: No.",
        [("Anna", "We won!"), ("Ben", "Great."), ("Anna", "Yes."), ("Ben", "No.")],
    ),
    "bom mid": ("call.txt", "Anna: We won!\n\ufeff\nBen: Gr\ufeffeat.\n", TWO),
    "tabs": ("call.txt", "Anna:\tWe won!  \t\n\tBen :\tGreat.\t\n", TWO),
    "one line clock": ("call.txt", "12:30: lunch", [(UNKNOWN, "12:30: lunch")]),
    "md headings": (
        "n.md",
        ("## Transcript\n\n### Anna (00:01)\n\nWe won!\n\n### Ben (00:04)\n\nGreat.\n"),
        TWO,
    ),
    "md frontmatter": (
        "n.md",
        ("---\ntitle: Interview\ndate: 2023-05-12\n---\n\n**Anna:** We won!\n\n**Ben:** Great.\n"),
        TWO,
    ),
    "chatgpt copy": (
        "call.txt",
        "You said:\nWe won!\n\nChatGPT said:\nGreat.\n",
        [("You", "We won!"), ("ChatGPT", "Great.")],
    ),
    "chatgpt md": (
        "call.txt",
        ("**User:** We won!\n\n**Assistant:** Great. Steps:\n\n1. **One:** a\n2. **Two:** b\n"),
        [("User", "We won!"), ("Assistant", "Great. Steps: 1. **One:** a 2. **Two:** b")],
    ),
    "riverside/otter md": ("call.txt", "**Anna Bell** *0:03*\nWe won!\n\n**Ben** *0:07*\nGreat.\n", FULL),
    "fathom": (
        "call.txt",
        "@0:03 - Anna Bell (Acme)\nWe won!\n\n@0:07 - Ben\nGreat.\n",
        [("Anna Bell (Acme)", "We won!"), ("Ben", "Great.")],
    ),
    "发言人 cn feishu": (
        "call.txt",
        "发言人 1  00:03\n我们赢了\n发言人 2  00:07\n太好了\n",
        [("发言人 1", "我们赢了"), ("发言人 2", "太好了")],
    ),
    "timestamp end": ("call.txt", "Anna: We won! [00:01:02]\nBen: Great. [00:01:05]\n", TWO),
    "pipe": ("call.txt", "00:01 | Anna | We won!\n00:05 | Ben | Great.\n", TWO),
    "speaker dur": ("call.txt", "Anna: (5s) We won!\nBen: (3s) Great.\n", TWO),
    "goes on with url": (
        "call.txt",
        "Anna: see\nhttp://x.org:8080/a\nftp://x\nBen: Great.\n",
        [("Anna", "see http://x.org:8080/a ftp://x"), ("Ben", "Great.")],
    ),
    "goes on with domain": (
        "call.txt",
        "Anna: see\nexample.org: good\nwww.X.org: bad\nBen: Great.\n",
        [("Anna", "see example.org: good www.X.org: bad"), ("Ben", "Great.")],
    ),
    "goes on with json": (
        "call.txt",
        'Anna: code\n{"a": 1}\nBen: Great.\n',
        [("Anna", 'code {"a": 1}'), ("Ben", "Great.")],
    ),
    "goes on with Psalm": (
        "call.txt",
        "Anna: read\nPsalm 23:1: The Lord\nBen: Great.\n",
        [("Anna", "read Psalm 23:1: The Lord"), ("Ben", "Great.")],
    ),
    "goes on with @": (
        "call.txt",
        "Anna: hi\n@Ben: look\nBen: Great.\n",
        [("Anna", "hi @Ben: look"), ("Ben", "Great.")],
    ),
    "goes on with #": (
        "call.txt",
        "Anna: hi\n#winning: yes\nBen: Great.\n",
        [("Anna", "hi #winning: yes"), ("Ben", "Great.")],
    ),
    "goes on with (1)": (
        "call.txt",
        "Anna: two\n(1) Cost: low\n(2) Time: short\nBen: Great.\n",
        [("Anna", "two (1) Cost: low (2) Time: short"), ("Ben", "Great.")],
    ),
    "goes on with emoji": (
        "call.txt",
        "Anna: hi\n😀: that\nBen: Great.\n",
        [("Anna", "hi 😀: that"), ("Ben", "Great.")],
    ),
    "nick @": ("call.txt", "@anna: We won!\n@ben: Great.\n", [("@anna", "We won!"), ("@ben", "Great.")]),
    "blockquote md": ("call.txt", "> **Anna:** We won!\n>\n> **Ben:** Great.\n", TWO),
    "bold caps": ("call.txt", "**ANNA** : We won!\n**BEN** : Great.\n", CAPITALS),
    "code fence": ("call.txt", "```\nAnna: We won!\nBen: Great.\n```\n", TWO),
    "two sents one line": ("call.txt", "We won! Great: yes.", [(UNKNOWN, "We won! Great: yes.")]),
    "one line time": ("call.txt", "Meet at 12:30 please", [(UNKNOWN, "Meet at 12:30 please")]),
    "one line http": ("call.txt", "See http://x.org", [(UNKNOWN, "See http://x.org")]),
    "one line emoticon": ("call.txt", "nice :)", [(UNKNOWN, "nice :)")]),
    "one line Bible": ("call.txt", "John 3:16", [(UNKNOWN, "John 3:16")]),
    "one line code": ("call.txt", "std::cout << 1;", [(UNKNOWN, "std::cout << 1;")]),
    "one line C": ("call.txt", "C:\\Users\\x", [(UNKNOWN, "C:\\Users\\x")]),
    "one line C2": ("call.txt", "C:/Users/x", [(UNKNOWN, "C:/Users/x")]),
    "title end": (
        "a.srt",
        (
            "1\n"
            "00:00:01,000 --> 00:00:02,000\n"
            "WWW.X.COM: GO\n"
            "\n"
            "2\n"
            "00:00:02,000 --> 00:00:03,000\n"
            "MR.SMITH: Hi\n"
        ),
        [(UNKNOWN, "WWW.X.COM: GO"), ("MR.SMITH", "Hi")],
    ),
    "smileys": (
        "a.txt",
        "Anna: ok :)\nBest :D\nYes :-/\nBen: :P\n",
        [("Anna", "ok :) Best :D Yes :-/"), ("Ben", ":P")],
    ),
    "911": ("a.txt", "Anna: Help!\nCall 911\nBen: ok\n", [("Anna", "Help! Call 911"), ("Ben", "ok")]),
    "lrm": (
        "a.txt",
        ("\u200e[12/05/23, 14:45:01] Anna: hi\n[12/05/23, 14:46:01] \u202aBen\u202c: yes\n"),
        [("Anna", "hi"), ("Ben", "yes")],
    ),
    "lrm name": ("a.txt", "\u202aAnna\u202c: hi\n\u2068Ben\u2069: yes\n", [("Anna", "hi"), ("Ben", "yes")]),
    "vtab": ("a.txt", "Anna: hi\x0bthere\nBen: yes\x0c\n", [("Anna", "hi there"), ("Ben", "yes")]),
    "cn space": ("a.txt", "主持人： 好\n嘉宾 ：好\n", [("主持人", "好"), ("嘉宾", "好")]),
    "PS": (
        "a.txt",
        "Anna: hi\nPS: bye\nPPS: no\nEdit: x\nUpdate: y\nFYI: z\nBen: ok\n",
        [("Anna", "hi PS: bye PPS: no Edit: x Update: y FYI: z"), ("Ben", "ok")],
    ),
    "human ai": (
        "a.txt",
        "Human: hi\n\nAI: hello: there\nWell: yes\n\nHuman: bye\n",
        [("Human", "hi"), ("AI", "hello: there Well: yes"), ("Human", "bye")],
    ),
    "viber": ("a.txt", ("[12.05.23] 14:45:01 Anna: We won!\n[12.05.23] 14:46:01 Ben: Great.\n"), TWO),
    "matrix": (
        "a.txt",
        ("2023-05-12 14:45:01 @anna:x.org: We won!\n2023-05-12 14:46:01 @ben:x.org: Great.\n"),
        [("@anna:x.org", "We won!"), ("@ben:x.org", "Great.")],
    ),
    "hangouts": (
        "a.txt",
        ("2023-05-12 14:45:01 <Anna Bell> We won!\n2023-05-12 14:46:01 <Ben> Great.\n"),
        FULL,
    ),
    "WhatsApp name with colon text clock": (
        "a.txt",
        ("12/05/23, 14:45 - Anna: 12:30: lunch\n12/05/23, 14:46 - Ben: C:\\x\n"),
        [("Anna", "12:30: lunch"), ("Ben", "C:\\x")],
    ),
}


def pairs(text: str, name: str) -> list[tuple[str, str]]:
    return [
        (turn["speaker"], " ".join(turn["text"].split()))
        for found in read_text(text, name).conversations
        for turn in found.turns
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_turns(name: str) -> None:
    file, text, turns = TEXTS[name]
    assert pairs(text, file) == turns
