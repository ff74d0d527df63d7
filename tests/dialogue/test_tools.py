"""Conversations as recorders, chats, interviews and tables have them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonet.dialogue.reader import read_bytes, read_text
from emonet.errors import DataFormatError

# Each line: name, file, content, and the [speaker, text] pairs that come out.
_CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "helpers" / "tool_cases.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize(
    ("file", "content", "turns"), [pytest.param(*case[1:], id=case[0]) for case in _CASES]
)
def test_turns_of_a_tool(file: str, content: str, turns: list[list[str]]) -> None:
    (conversation,) = read_bytes(content.encode(), file).conversations
    assert [[turn["speaker"], " ".join(turn["text"].split())] for turn in conversation.turns] == turns


# Lines that two people would read in two ways, and what is no conversation at all.
_UNCLEAR = {
    "a title within a turn": (
        "Anna: I saw it.\nBen: Which?\nStar Wars: A New Hope.\nAnna: Yes.\nBen: No.\nAnna: Ok.",
        r"line 3: 'Star Wars: .* either Star Wars speaks once, or the line belongs to the turn before",
    ),
    "a list that is announced": (
        "Anna: Take:\nFlour: much\nBen: Why?\nAnna: Bread.\nBen: Ok.",
        "line 2: .*Flour speaks once",
    ),
    "a line that breaks off": (
        "Anna: I say.\nBen: You like\nPasta: yes.\nAnna: Fine.\nBen: Ok.\nAnna: Bye.",
        "line 3: .*Pasta speaks once",
    ),
    "a line without the blank one above": (
        "Anna: Take.\nFlour: much\n\nBen: Why?\n\nAnna: Bread.\n\nBen: Ok.",
        "line 2: .*Flour speaks once",
    ),
    "a verse": ("John 3:16: For God so loved the world.", "line 1: .*John speaks at that time, or"),
    "columns without a header": (
        "0:00.0 - 0:05.3\tHello.\tAnn\n0:05.3 - 0:09.1\tHi.\tBob",
        "several columns",
    ),
    "names above captions": (
        "0:00:00.000 --> 00:00:02.000\nAnna Bell\nWe won!\n\n00:00:02.000 --> 00:00:04.000\nBen Cole\nGreat.",
        "cue 1: 'Anna Bell' above its text may be a speaker, or",
    ),
    "a web page": ("<html><body><p>Anna: We won!</p></body></html>", "HTML or XML"),
    "XML": ('<dialogue><turn speaker="Anna">We won!</turn></dialogue>', "HTML or XML"),
    "a label within a recogniser's segment": (
        "start\tend\ttext\n0\t9\t[SPEAKER_00]: We won!\n",
        "line 2: .*may be what SPEAKER_00 says, or",
    ),
    "a system prompt behind turns": (
        "<|im_start|>user\nWe won!<|im_end|>\n<|im_start|>system\nBe kind.<|im_end|>\n",
        "line 3: a system message behind turns: either it begins another dialogue, or",
    ),
    "text behind a message": (
        "<|im_start|>user\nWe won!<|im_end|>\nGreat: yes.\n<|im_start|>assistant\nYes.<|im_end|>",
        "line 1: text stands behind the end of the user message",
    ),
    "an utterance without its mark": (
        "We won ! __eou__ Great . __eou__\nAnna : yes",
        "line 2: .*does not end in __eou__",
    ),
    "times between single words": ("yes\n0:03\nWe won!\nno\n0:05\nGreat.", "line 1: 'yes' names no speaker"),
    "sentences in wrapped lines": (
        "We won. It was a long day and\nwe all went home. Then we\nslept.",
        "every line is a turn",
    ),
    "sentences below names without colons": (
        "Anna We won!\nBen Great.\nAnna Yes.\nBen So.",
        "line 1: 'Anna We won!' names no speaker",
    ),
    "sentences below names in tags": ("<b>Anna:</b> We won!\n<b>Ben:</b> Great.", "names no speaker"),
    "numbers of turns behind names": (
        "Anna [1]: We won!\nBen [2]: Great.\nAnna [3]: Yes.",
        r"line 1: .*either 'Anna \[1\]' speaks once, or",
    ),
    "a mail": (
        "On Jan 1, 2024 at 10:00 AM Ann wrote: Hi.\nOn Jan 2, 2024 at 10:00 AM Bob wrote: Yes.",
        "line 1",
    ),
    "a line of fields is missing": (
        "Speaker: Ann\nText: Hi.\n\nSpeaker: Bob\nT",
        "turn 2: no line `Text: …`",
    ),
    "fields within a script": (
        "Ann: Hi.\nBob: Yes.\nSpeaker: Cat\nText: No.\n",
        "'Speaker' and 'Text' before a colon may be the names of fields, or",
    ),
    "columns within a script": (
        "Ann: Hi.\nBob: Yes.\nCat\tSo.\nBob\tNo.\n",
        "line 4: .*look like names with their texts: either they are turns, or",
    ),
    "a prompt within a script": (
        "Ann: Hi.\nBob: Yes.\n<|im_start|>user\nNo.<|im_end|>\n",
        "a chat model's prompt",
    ),
    "a chat below a table": (
        "speaker,text\nAnn,Hi.\n[12.05.23, 14:45:01] Bob: Yes.\n",
        r"line 3, speaker: '\[12\.05\.23' may be a name, or",
    ),
    "turns of nobody in a chat": (
        "[12.05.23, 14:45:01] Ann: Hi.\n[12-May-23 02:46 PM] Bob\nYes.\n[12-May-23 02:47 PM] Cat\nNo.\n",
        "line 5: 'No.' stands below a line without a sender, 'Cat'",
    ),
    "lines below the last caption": (
        "1\n00:00:01,000 --> 00:00:02,000\nHi.\n\nwe are\nbelow\nthe end\n",
        "line 5: 'we are' may belong to the cue above, or",
    ),
    "a caption that was cut": (
        "1\n00:00:01,000 --> 00:00:02,000\nHi.\n\n2\n00:0",
        "line 6: no times in '00:0'",
    ),
    "a voice that was cut": ("WEBVTT\n\n00:01.000 --> 00:02.000\n<v An", "cue 1: '<v An' has no end"),
    "messages above a chat": (
        "<ann> We won!\n<bob> ok\n\nCat, 2:03 PM\nHi.\nCat, 2:04 PM\nSo.\n",
        "line 1: '<ann> We won!' stands before",
    ),
    "answers in a tree": (
        '{"prompt": {"text": "We won!", "role": "a", "replies": [{"text": "Great.", "role": "b"}]}}',
        "no list of turns",
    ),
    "coded captions": ("Scenarist_SCC V1.0\n\n00:00:01:00\t9420 9420", "coded captions"),
    "a list with dashes": ("Tea - two bags\nMilk - one litre", "line 1: 'Tea - two bags'"),
    "a list of Python": ("[('Anna', 'We won!'), ('Ben', 'Great.')]", "as Python prints it"),
}


@pytest.mark.parametrize("case", _UNCLEAR)
def test_what_is_unclear_is_refused(case: str) -> None:
    text, message = _UNCLEAR[case]
    with pytest.raises(DataFormatError, match=message):
        read_text(text, "a.txt")


def test_a_name_in_brackets_speaks_where_it_would_be_unclear() -> None:
    text = "Anna: I saw it.\nBen: Which?\n[Star Wars]: A New Hope.\nAnna: Yes.\nBen: No.\nAnna: Ok."
    assert read_text(text).speakers["Star Wars"] == 1


def test_corpora_in_their_own_layout_are_a_dialogue_for_each_scene_or_line() -> None:
    utterance = {"speakers": ["Joey Tribbiani", "Ross Geller"], "transcript": "Go!", "emotion": "Mad"}
    silent = {"speakers": [], "transcript": "", "transcript_with_note": "(They leave.)"}
    scenes = [{"scene_id": f"s01_e01_c0{n}", "utterances": [utterance, silent]} for n in (1, 2)]
    found = read_text(json.dumps({"season_id": "s01", "episodes": [{"scenes": scenes}]}), "emorynlp.json")
    assert [one.dialogue_id for one in found.conversations] == ["s01_e01_c01", "s01_e01_c02"]
    assert found.speakers == {"Joey Tribbiani": 2}
    assert found.notes == [
        "turns of several people stand under the first",
        "2 utterances without text left out",
    ]
    found = read_text("We won ! __eou__ Great . __eou__\nSo ? __eou__ No . __eou__\n", "dialogues_text.txt")
    assert [len(one.turns) for one in found.conversations] == [2, 2]
    assert found.speakers == {"Speaker 1": 2, "Speaker 2": 2}


def test_a_guest_may_speak_once() -> None:
    text = "Anna: One.\nBen: Two.\n{}: Three.\nAnna: Four.\nBen: Five.\nAnna: Six."
    for guest in ("Cleo", "Mrs. Green", "The Old Man", "Waiter", "SPEAKER_00"):
        assert read_text(text.format(guest)).speakers[guest] == 1


_WRITERS: dict[str, Callable[[int, str, str], str]] = {
    "CHAT": lambda at, name, text: f"*{name[:3].upper()}:\t{text}\n%mor:\tn|x\n",
    "MAXQDA": lambda at, name, text: f"{name}: {text} #00:00:{at:02}-0#\n\n",
    "diarizer": lambda at, name, text: f"{at}.00 {at}.50 {name}: {text}\n",
    "ELAN": lambda at, name, text: f"{name}\t\t00:00:{at:02}.000\t00:00:{at:02}.500\t{text}\n",
    "Otter": lambda at, name, text: f"{name}  0:{at:02}\n{text}\n\n",
    "Trint": lambda at, name, text: f"[00:00:{at:02}.10] {name}\n{text}\n\n",
    "name above a date": lambda at, name, text: f"{name}\n2023/5/12 14:{at:02}\n{text}\n\n",
    "headings": lambda at, name, text: f"### {name}\n{text}\n",
    "colons above": lambda at, name, text: f"{name}:\n{text}\n\n",
    "whisper": lambda at, name, text: f"[00:{at:02}.000 --> 00:{at:02}.500] {text}\n",
    "captions": lambda at, name, text: f"{at}\n00:00:{at:02},000 --> 00:00:{at:02},500\n{name}: {text}\n\n",
}
_TEXTS = st.sampled_from(
    ["Great: yes.", "Rule One: run.", "and then", "At 12:30: go.", "Marie Curie: a life."]
)


_TURNS = st.lists(
    st.tuples(st.sampled_from(["Anna", "Ben"]), _TEXTS), max_size=5, unique_by=lambda turn: turn[1]
)


@given(st.sampled_from(sorted(_WRITERS)), _TURNS)
def test_texts_that_begin_like_a_turn_are_read_back_or_refused(
    form: str, turns: list[tuple[str, str]]
) -> None:
    turns = [("Anna", "We won!"), *turns, ("Ben", "Good.")]
    text = "".join(_WRITERS[form](at, *turn) for at, turn in enumerate(turns, 1))
    try:
        found = read_text(f"@Begin\n{text}@End\n" if form == "CHAT" else text).conversations
    except DataFormatError:
        return
    names = {"CHAT": {"Anna": "ANN", "Ben": "BEN"}}.get(form, {"Anna": "Anna", "Ben": "Ben"})
    if form == "whisper":
        names = dict.fromkeys(names, "#UNKNOWN#")
    assert [(turn["speaker"], turn["text"]) for one in found for turn in one.turns] == [
        (names[name], said) for name, said in turns
    ]
