"""Plain text in the dresses of many tools: the right turns, or a clear refusal."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emonet.dialogue.reader import as_turns, read_bytes, read_text
from emonet.dialogue.reading import Reading
from emonet.errors import DataFormatError

TWO = [("Anna", "We won!"), ("Ben", "Great.")]
LABELS = [("Speaker 1", "We won!"), ("Speaker 2", "Great.")]


def turns_of(reading: Reading) -> list[tuple[str, str]]:
    return [(turn["speaker"], turn["text"]) for found in reading.conversations for turn in found.turns]


ONE_DIALOGUE = {
    # -- stamps
    "stamp before": ("00:01:02 Anna: We won!\n00:01:05 Ben: Great.", TWO),
    "stamp of minutes": ("0:03 Anna: We won!\n0:07 Ben: Great.", TWO),
    "stamp in brackets": ("[00:01:02] Anna: We won!\n[00:01:05] Ben: Great.", TWO),
    "stamp in parentheses": ("(0:03) Anna: We won!\n(0:07) Ben: Great.", TWO),
    "range of stamps": ("00:01 - 00:04 Anna: We won!\n00:04 – 00:07 Ben: Great.", TWO),
    "range in brackets": (
        "[00:01.000 --> 00:04.000] Anna: We won!\n[00:04.000 --> 00:07.250] Ben: Great.",
        TWO,
    ),
    "seconds": ("[0.00 - 3.20] Anna: We won!\n[3.20 - 5.00] Ben: Great.", TWO),
    "ISO date": ("2024-05-12T14:45:00Z Anna: We won!\n2024-05-12T14:46:00Z Ben: Great.", TWO),
    "ISO date with zone": ("2024-05-12 14:45:03.123 +02:00 Anna: We won!\n2024-05-12 14:46 Ben: Great.", TWO),
    "German date": ("12.05.2024 14:45 Anna: We won!\n12.05.2024 14:46 Ben: Great.", TWO),
    "12-hour clock": ("2:45\u202fPM - Anna: We won!\n2:46\u202fPM - Ben: Great.", TWO),
    "12-hour clock behind": ("Anna 2:45\u00a0p.m.: We won!\nBen 2:46\u00a0p.m.: Great.", TWO),
    "month in words": ("May 12, 2024, 2:45 PM Anna: We won!\nMay 12, 2024, 2:46 PM Ben: Great.", TWO),
    "hours and minutes": ("1h02m Anna: We won!\n1h03m Ben: Great.", TWO),
    "stamp behind": ("Anna (00:01): We won!\nBen (00:04): Great.", TWO),
    "stamp behind in brackets": ("Anna [00:00:03]:  We won!\nBen [00:00:07]:  Great.", TWO),
    "stamp and comma": ("Anna, 00:03: We won!\nBen, 00:07: Great.", TWO),
    "stamp for a colon": ("Anna (00:01) We won!\nBen (00:04) Great.", TWO),
    "stamp behind the colon": ("Anna: (00:03) We won!\nBen: (00:07) Great.", TWO),
    "stamps on lines of their own": ("00:00:00\n\nAnna: We won!\n\n00:05:00\n\nBen: Great.", TWO),
    "a clock in the text": (
        "Anna: At 12:30 sharp: we won!\nBen: 12:30 was it",
        [("Anna", "At 12:30 sharp: we won!"), ("Ben", "12:30 was it")],
    ),
    # -- bullets, numbers, quotes, emphasis, colons
    "bullets": ("- Anna: We won!\n- Ben: Great.", TWO),
    "stars": ("* Anna: We won!\n* Ben: Great.", TWO),
    "dots": ("• Anna: We won!\n• Ben: Great.", TWO),
    "dashes": ("– Anna: We won!\n– Ben: Great.", TWO),
    "numbers": ("1. Anna: We won!\n2. Ben: Great.", TWO),
    "numbers with brackets": ("1) Anna: We won!\n2) Ben: Great.", TWO),
    "line numbers": ("12: Anna: We won!\n13: Ben: Great.", TWO),
    "captions": (">> ANNA: We won!\n>> BEN: Great.", [("ANNA", "We won!"), ("BEN", "Great.")]),
    "captions without a name": (
        ">> ANNA: We won!\n>> Great.",
        [("ANNA", "We won!"), ("#UNKNOWN#", "Great.")],
    ),
    "quoted": ("> Anna: We won!\n> Ben: Great.", TWO),
    "bold with colon": ("**Anna:** We won!\n\n**Ben:** Great.", TWO),
    "bold": ("**Anna**: We won!\n**Ben**: Great.", TWO),
    "underlined": ("__Anna__: We won!\n__Ben__: Great.", TWO),
    "italic": ("*Anna:* We won!\n*Ben:* Great.", TWO),
    "bold with stamp": ("**Anna** (00:03): We won!\n\n**Ben** (00:07): Great.", TWO),
    "bold in a list": ("- **Anna:** We won!\n- **Ben:** Great.", TWO),
    "headings": ("### Anna\nWe won!\n\n### Ben\nGreat.", TWO),
    "spaced headings": ("### Anna\n\nWe won!\n\n### Ben\n\nGreat.", TWO),
    "bold above": ("**Anna**\nWe won!\n\n**Ben**\nGreat.", TWO),
    "French colon": ("Anna : We won!\nBen\u00a0: Great.", TWO),
    "full-width colon": ("Anna：We won!\nBen：Great.", TWO),
    "small colon": ("Anna﹕We won!\nBen﹕Great.", TWO),
    "tab behind the colon": ("Anna:\tWe won!\nBen:\tGreat.", TWO),
    "spaced dash": ("ANNA - We won!\nBEN - Great.", [("ANNA", "We won!"), ("BEN", "Great.")]),
    "long dash": ("Anna — We won!\nBen — Great.\nAnna — Yes.", [*TWO, ("Anna", "Yes.")]),
    "double dash": ("ANNA -- We won!\nBEN -- Great.", [("ANNA", "We won!"), ("BEN", "Great.")]),
    "tab": ("Anna\tWe won!\nBen\tGreat.\nAnna\tYes.", [*TWO, ("Anna", "Yes.")]),
    "play": (
        "ANNA. We won!\nBEN. Great.\nreally.\nANNA. Yes.",
        [("ANNA", "We won!"), ("BEN", "Great. really."), ("ANNA", "Yes.")],
    ),
    # -- tools
    "Otter": (
        "Anna Bell  0:03\nWe won!\n\nBen  0:07\nGreat.\nMonday: closed.",
        [("Anna Bell", "We won!"), ("Ben", "Great. Monday: closed.")],
    ),
    "Otter's frame": (
        "Meeting notes\nMon, May 13, 2024 2:45PM • 12:03\n\n"
        "SUMMARY KEYWORDS\nteam, win\n\nSPEAKERS\nAnna, Ben\n\n"
        "Anna  0:03\nWe won!\n\nBen  0:07\nGreat.\n\nTranscribed by https://otter.ai",
        TWO,
    ),
    "Teams": ("Anna   0:03\nWe won!\nBen   0:07\nGreat.", TWO),
    "Teams chat": ("[2:45 PM] Anna\nWe won!\n[2:46 PM] Ben\nGreat.", TWO),
    "Teams date": ("[5/12/2024 2:45 PM] Anna: We won!\n[5/12/2024 2:46 PM] Ben: Great.", TWO),
    "Word": ("00:00:03 Speaker 1\nWe won!\n00:00:07 Speaker 2\nGreat.", LABELS),
    "Zoom transcript": ("[Anna] 14:45:12\nWe won!\n\n[Ben] 14:45:20\nGreat.", TWO),
    "Zoom chat": (
        "00:12:01\tFrom Anna to Everyone:\n\tWe won!\n00:12:30\tFrom Ben to Everyone:\n\tGreat: at last.",
        [("Anna", "We won!"), ("Ben", "Great: at last.")],
    ),
    "old Zoom chat": ("00:12:01\t From  Anna : We won!\n00:12:30\t From  Ben : Great.", TWO),
    "Zoom chat on one line": (
        "14:45:01 From Anna To Everyone: We won!\n14:45:30 From Ben to Anna (Direct Message): Great.",
        TWO,
    ),
    "Zoom chat panel": ("Anna to Everyone 2:45 PM\nWe won!\n\nBen to Everyone 2:46 PM\nGreat.", TWO),
    "Webex chat": (
        "from Anna to everyone:    2:45 PM\nWe won!\nfrom Ben to everyone:    2:46 PM\nGreat.",
        TWO,
    ),
    "Meet": ("Transcript\n00:00:00\nAnna: We won!\n\n00:05:00\nBen: Great.", TWO),
    "Rev": ("Speaker 1 (00:03):\nWe won!\n\nSpeaker 2 (00:07):\nGreat.", LABELS),
    "old Rev": ("Speaker 1: (00:03)\nWe won!\n\nSpeaker 2: (00:07)\nGreat.", LABELS),
    "Descript": ("**Anna:** [00:00:03] We won!\n\n**Ben:** [00:00:07] Great.", TWO),
    "Descript without Markdown": ("[00:00:03] Anna: We won!\n\n[00:00:07] Ben: Great.", TWO),
    "Trint": ("[00:00:03.21] Anna\nWe won!\n\n[00:00:07.02] Ben\nGreat.", TWO),
    "Happy Scribe": ("[00:00:03.210] - Anna\nWe won!\n\n[00:00:07.020] - Ben\nGreat.", TWO),
    "Sonix": (
        "Speaker1: [00:00:03] We won!\nSpeaker2: [00:00:07] Great.",
        [("Speaker1", "We won!"), ("Speaker2", "Great.")],
    ),
    "Fireflies": ("Anna - 00:03\nWe won!\n\nBen - 00:07\nGreat.", TWO),
    "Riverside": ("Anna (00:03.210)\nWe won!\n\nBen (00:07.020)\nGreat.", TWO),
    "Gong": ("0:03 | Anna\nWe won!\n0:07 | Ben\nGreat.", TWO),
    "Fathom": ("0:03 - Anna\n  We won!\n\n0:07 - Ben\n  Great.", TWO),
    "Slack": ("Anna  2:45 PM\nWe won!\nBen  2:46 PM\nGreat.", TWO),
    "name, stamp, text": ("Anna\n2:45 PM\nWe won!\n\nBen\n2:46 PM\nGreat.", TWO),
    "stamp, name, text": (
        "0:03\nAnna\nWe won!\n\n0:05\nBen\nGreat.\n\n0:07\nAnna\nYes.",
        [*TWO, ("Anna", "Yes.")],
    ),
    "diarizer": (
        "[SPEAKER_00]: We won!\n[SPEAKER_01]: Great.",
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great.")],
    ),
    "diarizer without colon": (
        "[SPEAKER_00] We won!\n[SPEAKER_01] Great.",
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great.")],
    ),
    "diarizer above": (
        "SPEAKER_00\nWe won!\n\nSPEAKER_01\nGreat.",
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great.")],
    ),
    "whisper with diarizer": (
        "[00:00.000 --> 00:02.000] [SPEAKER_00] We won!\n[00:02.000 --> 00:04.000] [SPEAKER_01] Great.",
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great.")],
    ),
    "whisper": (
        "[00:00.000 --> 00:02.000]  We won!\n[00:02.000 --> 00:04.000]  Great.",
        [("#UNKNOWN#", "We won!"), ("#UNKNOWN#", "Great.")],
    ),
    "YouTube": (
        "0:03\nhello everyone\n0:05\nHello\n0:09\nwe won",
        [("#UNKNOWN#", "hello everyone"), ("#UNKNOWN#", "Hello"), ("#UNKNOWN#", "we won")],
    ),
    # -- interviews, courts, plays
    "interview": (
        "Interview with Anna\n\nInterviewer: Well?\n\nAnna: We won!",
        [("Interviewer", "Well?"), ("Anna", "We won!")],
    ),
    "interview in letters": (
        "I: Well?\nR: We won!\nI: Great.",
        [("I", "Well?"), ("R", "We won!"), ("I", "Great.")],
    ),
    "questions and answers": ("Q: Well?\nA: We won!", [("Q", "Well?"), ("A", "We won!")]),
    "short labels": ("S1: We won!\nS2: Great.", [("S1", "We won!"), ("S2", "Great.")]),
    "fields in front": ("Date: 12 May\nParticipants: Anna, Ben\n\nAnna: We won!\nBen: Great.", TWO),
    "court": (
        " 1   Q.  Where were you?\n 2   A.  At home. And\n 3       then I left.\n"
        " 4   THE COURT:  Louder.\n 5   MR. SMITH:  Go on.",
        [
            ("Q", "Where were you?"),
            ("A", "At home. And then I left."),
            ("THE COURT", "Louder."),
            ("MR. SMITH", "Go on."),
        ],
    ),
    "capitals above": ("ANNA\nWe won!\n\nBEN\nGreat.", [("ANNA", "We won!"), ("BEN", "Great.")]),
    "names above": ("Anna\nWe won!\n\nBen\nGreat.\n\nAnna\nYes.", [*TWO, ("Anna", "Yes.")]),
    "colons above": (
        "Anna:\nWe won!\n\nBen:\nMonday: closed.",
        [("Anna", "We won!"), ("Ben", "Monday: closed.")],
    ),
    "screenplay": (
        "FADE IN:\n\nINT. KITCHEN - DAY\n\nAnna stands at the window.\n\nANNA\n(laughing)\nWe won!\n\n"
        "BEN (V.O.)\nGreat: yes.\n\n"
        "She turns.\n\nANNA (CONT'D)\nYes.",
        [("ANNA", "We won!"), ("BEN", "Great: yes."), ("ANNA", "Yes.")],
    ),
    # -- names
    "names with dots and brackets": (
        "Dr. O'Neil-Smith (host): We won!\nLudwig van Beethoven: Great.\nJ. R. Smith: Yes.",
        [("Dr. O'Neil-Smith (host)", "We won!"), ("Ludwig van Beethoven", "Great."), ("J. R. Smith", "Yes.")],
    ),
    "Chinese": (
        "小明：现在12:30了，我们赢了！\n小红：太好了！",
        [("小明", "现在12:30了，我们赢了！"), ("小红", "太好了！")],
    ),
    "Arabic": ("آنا: فزنا!\nبن: رائع", [("آنا", "فزنا!"), ("بن", "رائع")]),
    "Russian": ("Анна: Победа!\nпричина: мы\nЖеня: Да", [("Анна", "Победа! причина: мы"), ("Женя", "Да")]),
    "Hindi": ("अन्ना: हम जीत गए\nबेन: वाह", [("अन्ना", "हम जीत गए"), ("बेन", "वाह")]),
    "nicks": ("anna_99: we won\nben: great", [("anna_99", "we won"), ("ben", "great")]),
    "roles": ("user: We won!\nassistant: Great.", [("user", "We won!"), ("assistant", "Great.")]),
    "numbers for names": (
        "1: We won!\n2: Great.\n1: Yes.",
        [("1", "We won!"), ("2", "Great."), ("1", "Yes.")],
    ),
    "crowds": ("#ALL#: We won!\nThe old man: Great.", [("#ALL#", "We won!"), ("The old man", "Great.")]),
    "a long name": (
        f"{'Anna ' * 6}: We won!\nBen: Great.",
        [(("Anna " * 6).strip(), "We won!"), ("Ben", "Great.")],
    ),
    "an empty utterance": ("Anna:\nBen: Great.\nCleo:", [("Anna", ""), ("Ben", "Great."), ("Cleo", "")]),
    # -- lines that go on
    "a lower-case word": (
        "Anna: The first\nreason: we won!\nBen: Great.",
        [("Anna", "The first reason: we won!"), ("Ben", "Great.")],
    ),
    "a phrase": (
        "Anna: One.\nThe second reason: we won!\nBen: Great.",
        [("Anna", "One. The second reason: we won!"), ("Ben", "Great.")],
    ),
    "a sentence": (
        "Anna: One.\nHe said yes. Then: no.\nBen: Great.",
        [("Anna", "One. He said yes. Then: no."), ("Ben", "Great.")],
    ),
    "a URL": (
        "Anna: See\nhttps://example.org/x: it is there.\nBen: C:\\x",
        [("Anna", "See https://example.org/x: it is there."), ("Ben", "C:\\x")],
    ),
    "notes": (
        "Anna: One.\nNote: two.\nP.S.: three.\nBen: Great.",
        [("Anna", "One. Note: two. P.S.: three."), ("Ben", "Great.")],
    ),
    "a clock": (
        "Anna: We meet\n12:30: at the door.\nBen: Great.",
        [("Anna", "We meet 12:30: at the door."), ("Ben", "Great.")],
    ),
    "a list": (
        "Anna: Three things:\n- Cost: low\n- Time: short\nBen: Great.",
        [("Anna", "Three things: - Cost: low - Time: short"), ("Ben", "Great.")],
    ),
    "a list of a model": (
        "user: Which?\nassistant: These.\n\n- Cost: low\n- Time: short",
        [("user", "Which?"), ("assistant", "These. - Cost: low - Time: short")],
    ),
    "paragraphs": ("Anna: One.\n\nTwo.\n\nBen: Great.", [("Anna", "One. Two."), ("Ben", "Great.")]),
    # -- stage directions and remarks
    "directions alone": ("Anna: We won!\n(laughs)\n[door slams]\nBen: Great.", TWO),
    "directions inside": (
        "Anna: We (laughs) won!\nBen: [sighs] Great.",
        [("Anna", "We (laughs) won!"), ("Ben", "[sighs] Great.")],
    ),
    "a direction as a turn": (
        "Anna  0:03\n[laughs]\nBen  0:07\nGreat.",
        [("Anna", "[laughs]"), ("Ben", "Great.")],
    ),
    "remarks": (
        "Anna (laughing): We won!\nBen (to Anna): Great.",
        [("Anna", "(laughing) We won!"), ("Ben", "(to Anna) Great.")],
    ),
    "persons by bracket": (
        "Ann (sales): We won!\nAnn (support): Great.",
        [("Ann (sales)", "We won!"), ("Ann (support)", "Great.")],
    ),
    # -- line ends and marks
    "Windows": ("Anna: We won!\r\n\r\nBen: Great.\r\n", TWO),
    "old Mac": ("Anna: We won!\rBen: Great.\r", TWO),
    "broken line ends": ("Anna: We won!\r\r\nBen: Great.\r\r\n", TWO),
    "byte order marks": ("\ufeffAnna: We won!\n\ufeffBen: Great.", TWO),
    "a byte order mark between files": ("\ufeffAnna: We won!\ufeffBen: Great.", TWO),
    "separators in a text": ("Anna: a\u2028b\nBen: Great.", [("Anna", "a\u2028b"), ("Ben", "Great.")]),
    # -- one line
    "a sentence alone": ("We won!", [("#UNKNOWN#", "We won!")]),
    "a note alone": ("Note: we won", [("#UNKNOWN#", "Note: we won")]),
    "a name alone": ("Anna:", [("Anna", "")]),
}


@pytest.mark.parametrize("case", ONE_DIALOGUE)
def test_turns(case: str) -> None:
    text, turns = ONE_DIALOGUE[case]
    reading = read_text(text, "a.txt")
    assert turns_of(reading) == turns
    assert len(reading.conversations) == 1 or case == "screenplay"
    assert as_turns(text) == [{"speaker": speaker, "text": said} for speaker, said in turns]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("Anna: a\n\nBen: b\n\nAnna: c", [3]),
        ("Anna: a\nBen: b\n\nAnna: c", [2, 1]),
        ("Anna: a\n\nBen: b\nAnna: c\n\n\n\nBen: d", [1, 2, 1]),
        ("# Scene 1\n\nAnna: a\n\nBen: b\n\n# Scene 2\n\nAnna: c", [2, 1]),
        ("Scene 1: The kitchen\nAnna: a\nBen: b\nScene 2\nAnna: c", [2, 1]),
        ("Anna: a\nBen: b\n---\nAnna: c", [2, 1]),
        ("INT. KITCHEN - DAY\nANNA: a\nBEN: b\nEXT. STREET - NIGHT\nANNA: c", [2, 1]),
        ("0:01\nAnna: a\nBen: b\n\n0:05\n\nAnna: c", [3]),
    ],
)
def test_dialogues(text: str, sizes: list[int]) -> None:
    assert [len(found.turns) for found in read_text(text).conversations] == sizes


@pytest.mark.parametrize(
    ("text", "line", "readings"),
    [
        ("one line\nanother line", 1, "every line is a turn, or all lines are one turn"),
        ("Roses\nare red\n\nViolets\nare blue", 1, "every line is a turn"),
        ("Hello there.\nAnna: a", 1, "a title, or somebody speaks it"),
        ("Hello there.\n\nAnna: a", 1, "a title, or somebody speaks it"),
        ("Anna: a\nBen: b\n- Cleo: c\n- Dora: d", 3, "Cleo speaks, or the line belongs"),
        ("[0:01] Anna: a\nCleo: c\n[0:03] Ben: b\nCleo: d", 2, "Cleo speaks"),
        ("- Anna: a\n- Ben: b\nCleo: c", 3, "Cleo speaks"),
        ("Anna  0:01\na\n\nBen: b", 4, "Ben speaks"),
        ("Anna: a\nben: b\nAnna: c\nben: d", 2, "ben speaks"),
        ("[0:01] Anna: a\n[0:02] and b", 2, "belongs to the turn before, or somebody else"),
        ("Anna: a\nBen: b\n\nand so on\nAnna: c\n\nBen: d", 4, "it begins a dialogue"),
        ("Anna: a\nBen: b\n# Scene 2\nthe kitchen\nAnna: c", 4, "names no speaker"),
        ("1: We won!\n2: Great.", 1, "every line is a turn"),
        ("Tea - two bags\nMilk - one litre", 1, "every line is a turn"),
        ("ANNA\nWe won!\n\nBEN\nGreat.\n\nSo they say.", 7, "belongs to the turn before, or nobody"),
        ("0:01\n0:02", 1, "names no speaker"),
    ],
)
def test_unclear_text_is_refused_with_two_readings(text: str, line: int, readings: str) -> None:
    with pytest.raises(DataFormatError, match=rf"^a\.txt, line {line}: .* either .*, or ") as refusal:
        read_text(text, "a.txt")
    assert readings in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("Anna: a\n\nBen: b", "blank lines are double spacing"),
        ("Anna: a\nand b\nBen: c", "1 line without a name joined"),
        ("Anna: a\n(laughs)\n(sighs)\nBen: c", "2 stage directions left out"),
        ("Call of May\n\nAnna: a\nBen: b", "1 line before the first speaker left out"),
        ("Anna: a\nBen: b\n---\nAnna: c", "1 heading left out"),
        ("INT. KITCHEN\n\nShe turns.\n\nANNA\nHi", "1 line of action left out"),
        ("Anna: a\nANNA: b\nBen: c", "3 turns, 2 speakers: Anna 2, Ben 1; ANNA counted as Anna$"),
        ("We won.\nIt is great.\n", "text without names: 2 turns, .* each line is a turn of #UNKNOWN#"),
    ],
)
def test_what_was_decided_is_said(text: str, note: str) -> None:
    assert re.search(note, read_text(text).summary())


@pytest.mark.parametrize(
    "raw",
    [b"{\\rtf1 a}", b"%PDF-1.7\n1 0 obj", b"\xd0\xcf\x11\xe0"],
)
def test_documents_are_no_text(raw: bytes) -> None:
    with pytest.raises(DataFormatError, match=r"save it as .*plain text"):
        read_bytes(raw, "a.txt")


# -- properties

NAMES = st.sampled_from(
    [
        "Anna",
        "Ben",
        "Dr. O'Neil-Smith",
        "Anna van Dam",
        "小明",
        "SPEAKER_00",
        "Женя",
        "Speaker 2",
        "MR. SMITH",
    ]
)
WORDS = st.sampled_from(
    [
        "we",
        "won",
        "great",
        "12:30",
        "reason:",
        "https://example.org/x:",
        "(laughs)",
        "ok.",
        "é😀",
        "小红",
        "-",
    ]
)
# A colon at the end announces a list, whose items are text.
TEXTS = st.builds(lambda words: " ".join(["so", *words, "it is"]), st.lists(WORDS, max_size=6))
TURNS = st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=6)
DRESSES = {
    "colon": "{name}: {text}\n",
    "double spacing": "{name}: {text}\n\n",
    "Windows": "{name}: {text}\r\n",
    "full width": "{name}：{text}\n",
    "stamp": "[00:0{index}:01] {name}: {text}\n",
    "stamp without brackets": "0{index}:01 {name}: {text}\n",
    "12-hour clock": "{index}:45\u202fPM - {name}: {text}\n",
    "date": "2024-05-1{index} 14:45 {name}: {text}\n",
    "stamp behind": "{name} (00:0{index}): {text}\n",
    "bullet": "- {name}: {text}\n",
    "number": "{index}. {name}: {text}\n",
    "quote": ">> {name}: {text}\n",
    "bold": "**{name}:** {text}\n\n",
    "heading": "### {name}\n{text}\n\n",
    "above with stamp": "{name}  0:0{index}\n{text}\n\n",
    "above with stamp first": "[00:0{index}] {name}\n{text}\n\n",
    "chat": "00:12:0{index}\tFrom {name} to Everyone:\n\t{text}\n",
}


def written(turns: list[tuple[str, str]], dress: str, start: int = 1) -> str:
    pieces = (
        DRESSES[dress].format(name=name, text=text, index=(start + i) % 9 + 1)
        for i, (name, text) in enumerate(turns)
    )
    return "".join(pieces)


@given(TURNS, st.sampled_from(sorted(DRESSES)))
def test_what_is_written_is_read(turns: list[tuple[str, str]], dress: str) -> None:
    assert turns_of(read_text(written(turns, dress))) == turns


def read_or_refused(text: str) -> list[tuple[str, str]] | None:
    try:
        return turns_of(read_text(text))
    except DataFormatError as error:
        assert re.match(r"text(, line \d+)?: ", str(error))
        return None


@given(TURNS, st.sampled_from(sorted(DRESSES)), st.integers(0, 12), st.booleans())
def test_a_cut_file_is_never_shifted(turns: list[tuple[str, str]], dress: str, at: int, head: bool) -> None:
    lines = written(turns, dress).splitlines(keepends=True)
    cut = "".join(lines[:at] if head else lines[at:])
    assume(sum(bool(line.strip()) for line in cut.split("\n")) > 1)  # one line is always a turn
    found = read_or_refused(cut)
    if found is None:
        return
    whole = {name: [text for speaker, text in turns if speaker == name] for name, _ in turns}
    for name, text in found:  # a turn is whole, or lost its text with the cut
        assert text in whole[name] or (head and text == ""), (name, text)


@given(TURNS, st.sampled_from(sorted(DRESSES)))
def test_a_doubled_file_has_all_turns_twice(turns: list[tuple[str, str]], dress: str) -> None:
    text = written(turns, dress)
    assert read_or_refused(text + text) in (turns + turns, None)


@given(TURNS, TURNS, st.sampled_from(sorted(DRESSES)), st.sampled_from(sorted(DRESSES)))
def test_two_dresses_in_one_file(
    first: list[tuple[str, str]], second: list[tuple[str, str]], one: str, other: str
) -> None:
    found = read_or_refused(written(first, one) + written(second, other, len(first) + 1))
    assert found in (first + second, None)
