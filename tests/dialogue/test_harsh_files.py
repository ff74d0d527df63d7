"""Files cut anywhere, doubled or of two forms, whose texts look like names and times."""

import random

import pytest
from written_forms import FORMS, Turns, drawn_turns, written

from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN
from emonet.errors import EmoNetError

EXAMPLES = pytest.mark.parametrize("examples", [250, pytest.param(10_000, marks=pytest.mark.slow)])
WRONG = 1 / 1000  # the share that may be read wrongly


def read(text: str) -> Turns | None:
    """The turns of a text with blanks folded; None where it is refused."""
    try:
        conversations = read_text(text, "a.txt").conversations
    except EmoNetError:
        return None
    return [(turn["speaker"], folded(turn["text"])) for found in conversations for turn in found.turns]


def folded(text: str) -> str:
    return " ".join(text.split())


def is_beginning(found: Turns, turns: Turns, text: str) -> bool:
    """Whether turns are those of a cut text: whole but for the last one.

    The last one may be shorter, may hold the beginning of the line at which the text is
    cut, and that line may be an unknown speaker's.
    """
    *whole, (name, said) = found
    if whole != turns[: len(whole)] or len(found) > len(turns):
        return False
    speaker, utterance = turns[len(whole)]
    last = folded(text.splitlines()[-1])
    rest = folded(said.removeprefix(utterance))
    if name == UNKNOWN:
        return folded(text).endswith(said)
    return name == speaker and (utterance.startswith(said) or last.endswith((said, rest)))


@EXAMPLES
def test_a_whole_file_is_read(examples: int) -> None:
    draw = random.Random(1)
    refused = 0
    for _ in range(examples):
        form = draw.choice(list(FORMS))
        turns = drawn_turns(form, draw, 2)
        found = read(text := written(form, turns))
        assert found in (turns, None), text
        refused += found is None
    assert refused < examples / 50


@EXAMPLES
def test_a_cut_file_is_never_shifted(examples: int) -> None:
    draw, wrong = random.Random(2), []
    for index in range(examples):
        form = draw.choice(list(FORMS))
        turns = drawn_turns(form, draw, 2)
        text = written(form, turns)
        lines = text.splitlines(keepends=True)
        at_line = "".join(lines[: draw.randint(1, len(lines))])
        text = at_line if index % 2 else text[: draw.randint(1, len(text))]
        if (found := read(text)) is not None and not is_beginning(found, turns, text):
            wrong.append(text)
    assert len(wrong) <= WRONG * examples, wrong


@EXAMPLES
def test_a_doubled_file_is_read_twice(examples: int) -> None:
    draw = random.Random(3)
    for _ in range(examples):
        form = draw.choice(list(FORMS))
        turns = drawn_turns(form, draw, 2)
        text = written(form, turns)
        text += draw.choice(["", "\n"]) + text
        assert read(text) in (turns + turns, None), text


@EXAMPLES
def test_a_file_of_two_forms_is_never_shifted(examples: int) -> None:
    draw, wrong = random.Random(4), []
    for _ in range(examples):
        forms = draw.sample(list(FORMS), 2)
        first, second = (drawn_turns(form, draw, 3) for form in forms)
        between = draw.choice(["", "\n"])
        text = written(forms[0], first) + between + written(forms[1], second, len(first) + 1)
        if read(text) not in (first + second, None):
            wrong.append(text)
    assert len(wrong) <= WRONG * examples, wrong


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("### Anna\n[Ben] is it.\n\n### Cleo\nYes.\n", [("Anna", "[Ben] is it."), ("Cleo", "Yes.")]),
        (
            "Anna | a | b\nBen | We won!\nAnna | Yes.\n",
            [("Anna", "a | b"), ("Ben", "We won!"), ("Anna", "Yes.")],
        ),
        ("From Anna to Everyone : 12:30\nFrom Ben to Everyone : No.\n", [("Anna", "12:30"), ("Ben", "No.")]),
        ("[2:01 PM] Q\nWhy?\n[2:02 PM] Ben\nSo.\n", [("Q", "Why?"), ("Ben", "So.")]),
        (
            "Anna\n5/12/2023 2:01 PM\nBen\nCleo\n5/12/2023 2:02 PM\nBen\nAnna\n5/12/2023 2:03 PM\nYes.\n",
            [("Anna", "Ben"), ("Cleo", "Ben"), ("Anna", "Yes.")],
        ),
    ],
)
def test_texts_that_look_like_heads_stay(text: str, turns: Turns) -> None:
    assert read(text) == turns


@pytest.mark.parametrize(
    "text",
    [
        "### ANNA\nGreat: yes.\n",
        "Anna:\nGreat: yes.\n",
        "Speaker: Anna Bell\nTe",
        "00:01 | Anna | We won!\n00:02 | Ben | Hi.\n00:03 | Interv",
        "[Script Info]\n\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,Hi.\nBen: Yes.\n",
        "### Anna\n[Ben] is it.\n\n### Cleo\n[Ben] i",
        "Speaker: Anna v",
        "**Anna**\nHi.\n\n**Ben**\nHello.\n\n**Anna**\n10:15 A",
        # Messages behind a script, with a time above each name.
        "[00:01]\nAnna: Hi.\n\n[00:02]\nBen: Hello.\n\n\nMay 12, 2023  2:03:01 PM\nCleo\nGreat: yes.\n\n"
        "May 12, 2023  2:04:01 PM\nBen\nSo it is.\n",
        # Names above times, then below them.
        "Anna\n5/12/2023 2:01 PM\nSo it is.\nBen\n5/12/2023 2:02 PM\nWho won?\nBen\n5/12/2023 2:03 PM\n"
        "ok :)\n\nMay 12, 2023  2:04:01 PM\nCleo\n(whispering) No.\n\n"
        "May 12, 2023  2:05:01 PM\nDan\n(whispering) No.\n",
        # Names in bold behind a chat, and lines that are unclear among them.
        "[2:01 PM] Anna\nHi.\n[2:02 PM] Ben\nHello.\n**Cleo**\n[laughs] yes\n\n**Dan**\nso it is\n\n"
        "**Cleo**\nMarie Curie: a life.\n\n**Dan**\nMarie Curie: a life.\n\n**Eva**\n[Ben] is the name\n",
    ],
)
def test_what_may_be_two_things_is_refused(text: str) -> None:
    assert read(text) is None
