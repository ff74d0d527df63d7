"""Chats of many messengers and languages come out as the turns that people wrote."""

import pytest
from chat_cases import CASES, Case
from chat_writers import WRITERS
from hypothesis import given
from hypothesis import strategies as st

from emonet.dialogue.chats import messengers as chats
from emonet.dialogue.reader import read_text
from emonet.errors import DataFormatError

ANDROID = "12/05/23, 2:45 PM - Anna: We won!\n12/05/23, 2:46 PM - Ben: Great.\n"
IPHONE = "[12.05.23, 14:45:01] Anna: We won!\n[12.05.23, 14:46:01] Ben: Great.\n"
IRC = "[14:45] <anna> We won!\n[14:46] <ben> Great.\n"


def pairs(text: str, name: str = "chat.txt") -> list[tuple[str, str]]:
    [conversation] = read_text(text, name).conversations
    assert conversation.dialogue_id == "0"
    return [(turn["speaker"], turn["text"]) for turn in conversation.turns]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_exports(case: Case, ends: str) -> None:
    reading = read_text("\ufeff" + case.text.replace("\n", ends), "chat.txt")
    assert (reading.form, reading.notes) == (case.form, case.notes)
    assert pairs(case.text, "stdin") == pairs(case.text) == case.turns
    [conversation] = reading.conversations
    assert [(turn["speaker"], turn["text"]) for turn in conversation.turns] == case.turns


def test_summary_counts_what_was_left_out() -> None:
    text = f"{ANDROID}12/05/23, 2:47 PM - Anna added Cleo\n12/05/23, 2:47 PM - Cleo left\n"
    assert read_text(text, "chat.txt").summary() == (
        "WhatsApp export: 2 turns, 2 speakers: Anna 1, Ben 1; 2 lines without a sender left out"
    )


def test_a_name_that_is_no_contact_stays_another_person_than_the_contact() -> None:
    text = f"{IPHONE}[12.05.23, 14:47:01] ~\u202fAnna: who are you?\n"
    assert [name for name, _ in pairs(text)] == ["Anna", "Ben", "~ Anna"]


@pytest.mark.parametrize(
    "text",
    [
        "00:01:02 Anna: We won!\n00:01:05 Ben: At 12:30 sharp?\n",
        "[00:01:02] Anna: We won!\n[00:01:05] Ben: Great.\n",
        "[2:45 PM] Anna: We won!\n[2:46 PM] Ben: Great.\n",
        "2:45 PM Anna: We won!\n2:46 PM Ben: Great.\n",
        "Anna (00:01): We won!\nBen (00:04): Great.\n",
        "Anna Bell  0:03\nWe won! I can't believe it.\n\nBen  0:07\nGreat.\nReally great.\n",
        "Anna\n0:03\nWe won!\n\nBen\n0:05\nGreat.\n",
        "00:12:01\tFrom Anna to Everyone:\n\tWe won!\n00:12:30\tFrom Ben to Everyone:\n\tGreat: at last.\n",
        "2023-05-12 14:45:01 Anna: I said: yes\n2023-05-12 14:45:01 Ben: no - really: so\n",
        "2023-05-12T14:45:01 Anna: We won!\n",
        "* Anna: We won!\n* Ben: Great.\n",
        "**Anna:** We won!\n\n**Ben:** Great.\n",
        ">> ANNA: We won!\n>> BEN: Great.\n",
        "Anna: meet me at 2:45 PM\nBen: <3\n",
        "Anna — at 3:10 she said: hi\nBen: yes\n",
        "[INTERVIEWER]: We won!\n[ANNA]: Great.\n",
        "1. Anna: We won!\n2. Ben: Great.\n",
        "小明：现在12:30了，我们赢了！\n小红：太好了！\n",
        "speaker,text\nAnna,We won!\n",
        '{"messages": [{"role": "user", "content": "We won!"}]}',
        "12:30",
        "",
        "\n \n",
    ],
)
def test_other_texts_are_no_chats(text: str) -> None:
    assert chats.read(text, "chat.txt") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ANDROID + IPHONE, "line 3: .*looks like a message of another WhatsApp export"),
        (ANDROID + IRC, "line 3: .*may begin something else"),
        (ANDROID + "14:45\tAnna\thi\n", "line 3: .*may begin something else"),
        (ANDROID + "1\n00:00:01,000 --> 00:00:02,000\nhi\n", "line 4: .*may begin something else"),
        (ANDROID + "Anna: hi\nBen: yes\n", "line 3: 'Anna: hi' may belong to the message above, or"),
        (ANDROID + "<Anna> hi\n<Ben> yes\n", "line 3: '<Anna> hi' may belong to the message above, or"),
        ("Anna: hi\nBen: yes\nAnna: so\n" + ANDROID, "line 1: 'Anna: hi' stands before the first message"),
        (ANDROID[5:] + ANDROID, "line 1: .*stands before the first message"),
        (ANDROID + "12/05/23, 2:4", "line 3: '12/05/23, 2:4' may be the beginning of a message that was cut"),
        (IPHONE + "[12.05", "line 3: .*cut off"),
        ("14:45\tAnna\thi\n14:4", "line 2: '14:4' may be the beginning of a message that was cut"),
        (IRC + "Ben: yes\n", "line 3: 'Ben: yes' is no message of an IRC log"),
        (IRC + "[14:4", "line 3: .*is no message of an IRC log"),
        ("2023.05.12 금요일\n14:45 Anna We won\n14:46 Ben yes\n", "line 2: .*'Anna', or 'Anna We'"),
        ("[LINE] Chat history with Anna\nhello\n14:45\tAnna\thi\n", "line 2: 'hello' stands before"),
        ("12/05/23, 2:45 PM - Anna added Ben\n", "no message of a person .*1 line without a sender"),
        ("12/05/23, 2:45 PM - Anna: <Media omitted>\n", "no message of a person .*1 message without words"),
    ],
)
def test_unclear_chats_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=f"^chat.txt.*{message}"):
        read_text(text, "chat.txt")


def test_a_chat_twice_in_a_file_is_read_twice() -> None:
    assert pairs(ANDROID + ANDROID) == pairs(ANDROID) * 2


LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéñçłşğабвгдеأبتकखग你好世界あいう안녕😀"
WORDS = st.text(LETTERS, min_size=1, max_size=8)
NAMES = st.sampled_from(
    ["Anna", "Ben", "Zoë Ünal", "小明", "Мария", "أحمد", "안나", "Anna Bell", "O'Neil", "B2"]
)
TEXTS = st.lists(
    WORDS | st.sampled_from(["yes: no", "12:30", "(so)", "a/b", "https://x.org/a:b", "-", "3."]), max_size=6
)
TURNS = st.lists(st.tuples(NAMES, st.tuples(WORDS, TEXTS)), min_size=2, max_size=12)


@pytest.mark.parametrize("form", list(WRITERS))
@given(drawn=TURNS)
def test_any_turns_come_back(form: str, drawn: list[tuple[str, tuple[str, list[str]]]]) -> None:
    ending, write = WRITERS[form]
    turns = [(name, " ".join([first, *rest])) for name, (first, rest) in drawn]
    wanted = [(name.replace(" ", "_"), text) for name, text in turns] if form == "IRC" else turns
    assert pairs(write(turns), f"x.{ending}") == wanted
    assert pairs(write(turns), "text") == wanted


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "ASS"])  # put in the order of time
def test_a_file_twice_in_one_is_read_twice(form: str) -> None:
    ending, write = WRITERS[form]
    turns = [("Anna", "We won!"), ("Ben", "yes: at last")]
    assert pairs(write(turns) + "\n" + write(turns), f"x.{ending}") == turns * 2
