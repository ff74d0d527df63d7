"""Two conversations in one file are read as both, or refused."""

import itertools

import pytest

from emonet.dialogue.reader import read_text
from emonet.errors import DataFormatError

FIRST = [("Anna", "We won today."), ("Ben", "Great: yes."), ("Anna", "See you at 12:30.")]
SECOND = [("Cleo", "We lost."), ("Dora", "Sad."), ("Cleo", "Bye.")]

FORMS = {
    "script": "{name}: {text}\n",
    "stamp": "[00:00:0{index}] {name}: {text}\n",
    "stamp behind": "{name} (00:0{index}): {text}\n",
    "name above": "{name}  0:0{index}\n{text}\n\n",
    "bold": "**{name}:** {text}\n\n",
    "bullets": "- {name}: {text}\n",
    "headings": "### {name}\n{text}\n\n",
    "capitals above": "{name:>4}\n{text}\n\n",
    "columns": "{name} | {text}\n",
    "arrows": ">> {name}: {text}\n",
    "meeting chat": "00:12:0{index}\tFrom {name} to Everyone:\n\t{text}\n",
    "WhatsApp": "12/05/23, 2:4{index} PM - {name}: {text}\n",
    "WhatsApp on iPhones": "[12.05.23, 14:4{index}:01] {name}: {text}\n",
    "IRC": "14:4{index} <{name}> {text}\n",
    "IRC without times": "<{name}> {text}\n",
    "Telegram": "{name}, [12.05.2023 14:4{index}]\n{text}\n\n",
    "Discord": "{name} — Today at 2:4{index} PM\n{text}\n\n",
    "LINE": "14:4{index}\t{name}\t{text}\n",
    "SubRip": "{index}\n00:00:0{index},000 --> 00:00:0{index},900\n{name}: {text}\n\n",
    "WebVTT": "00:00:0{index}.000 --> 00:00:0{index}.900\n<v {name}>{text}</v>\n\n",
}
START = {"WebVTT": "WEBVTT\n\n"}


def written(form: str, turns: list[tuple[str, str]]) -> str:
    pieces = (
        FORMS[form].format(name=name.upper(), text=text, index=index)
        for index, (name, text) in enumerate(turns, 1)
    )
    return START.get(form, "") + "".join(pieces)


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(FORMS, 2)))
@pytest.mark.parametrize("between", ["", "\n"])
def test_a_file_of_two_forms_is_read_or_refused(one: str, other: str, between: str) -> None:
    try:
        reading = read_text(written(one, FIRST) + between + written(other, SECOND), "a.txt")
    except DataFormatError as error:
        assert str(error).startswith("a.txt")
        return
    found = [
        (turn["speaker"], " ".join(turn["text"].split()))
        for conversation in reading.conversations
        for turn in conversation.turns
    ]
    assert found == [(name.upper(), text) for name, text in [*FIRST, *SECOND]]


def test_the_place_is_told() -> None:
    text = written("WhatsApp", FIRST) + written("stamp", SECOND)
    with pytest.raises(DataFormatError, match=r"a\.txt, line 4: .* may begin a script with time stamps, or"):
        read_text(text, "a.txt")


@pytest.mark.parametrize(
    "text",
    [
        "Anna: I need\nMilk: two\nEggs: three\n",
        "12/05/23, 2:45 PM - Anna: I need\nMilk: two\nEggs: three\n",
        "User: Write a scene.\nAssistant: Here:\nAnna: hi\nBen: yes\nAnna: so\n",
    ],
)
def test_lists_and_what_models_write_belong_to_the_turn(text: str) -> None:
    assert read_text(text, "a.txt").speakers.total() < 4
