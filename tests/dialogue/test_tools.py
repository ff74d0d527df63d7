"""Conversations as recorders, chats, interviews and tables have them."""

import json
from pathlib import Path

import pytest

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
    "a web page": ("<html><body><p>Anna: We won!</p></body></html>", "HTML or XML"),
    "XML": ('<dialogue><turn speaker="Anna">We won!</turn></dialogue>', "HTML or XML"),
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


def test_a_guest_may_speak_once() -> None:
    text = "Anna: One.\nBen: Two.\n{}: Three.\nAnna: Four.\nBen: Five.\nAnna: Six."
    for guest in ("Cleo", "Mrs. Green", "The Old Man", "Waiter", "SPEAKER_00"):
        assert read_text(text.format(guest)).speakers[guest] == 1
