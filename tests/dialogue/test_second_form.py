"""A file that is cut, doubled or of two forms is read as it stands, or refused."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN
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


# -- properties

_SAID = (
    *("We won today.", "Great: yes.", "See you at 12:30.", "and then we left", "It was 2:45 PM."),
    *("Rule One: run.", "yes", "reason: we won", "http://example.org/a:b is it.", "Ben is here."),
)


def is_conversation(turns: list[tuple[str, str]]) -> bool:
    """Whether two people talk, and one of them twice: others may be a list in a text."""
    return 1 < len({name for name, _ in turns}) < len(turns)


TURNS = st.lists(
    st.tuples(st.sampled_from(["ANNA", "BEN", "CLEO"]), st.sampled_from(_SAID)), min_size=3, max_size=6
).filter(is_conversation)
FORM = st.sampled_from(sorted(FORMS))
MANY = settings(max_examples=1000, derandomize=True)
EACH = pytest.mark.parametrize("examples", ["few", pytest.param("many", marks=pytest.mark.slow)])


def found_in(text: str) -> list[tuple[str, str]] | None:
    """The turns of a text; None where it is refused."""
    try:
        conversations = read_text(text, "a.txt").conversations
    except DataFormatError as error:
        assert str(error).startswith("a.txt")
        return None
    return [(turn["speaker"], turn["text"]) for one in conversations for turn in one.turns]


def check_cut(form: str, turns: list[tuple[str, str]], share: float) -> None:
    text = written(form, turns)
    cut = text[: 1 + int(share * (len(text) - 1))]
    found = found_in(cut)
    if found is None or len(cut) < len(written(form, turns[:2])):  # too little to tell the form
        return
    lines = [line for line in cut.splitlines() if line.strip()]
    assert found[:-1] == turns[: len(found) - 1]
    speaker, said = found[-1]
    # What is left of the last line is a beginning, goes on, or has no speaker.
    rest = lines[-1].strip()
    name, utterance = turns[len(found) - 1]
    if speaker == name and (utterance.startswith(said) or said.startswith(f"{utterance} ")):
        assert said in utterance or rest.endswith(said[len(utterance) :].strip())
    else:
        assert speaker in (UNKNOWN, name, *(turn[0] for turn in turns[len(found) - 2 : len(found) - 1]))
        assert rest.endswith(said)


def check_doubled(form: str, turns: list[tuple[str, str]], between: str) -> None:
    assert found_in(written(form, turns) + between + written(form, turns)) in (turns + turns, None)


def check_mixed(
    forms: tuple[str, str], first: list[tuple[str, str]], second: list[tuple[str, str]], between: str
) -> None:
    text = written(forms[0], first) + between + written(forms[1], second)
    assert found_in(text) in (first + second, None)


@EACH
def test_a_cut_file_is_never_shifted(examples: str) -> None:
    check = given(FORM, TURNS, st.floats(0, 1))(check_cut)
    (MANY(check) if examples == "many" else check)()


@EACH
def test_a_doubled_file_is_read_twice(examples: str) -> None:
    check = given(FORM, TURNS, st.sampled_from(["", "\n"]))(check_doubled)
    (MANY(check) if examples == "many" else check)()


@EACH
def test_a_mixed_file_is_never_shifted(examples: str) -> None:
    forms = st.tuples(FORM, FORM).filter(lambda pair: pair[0] != pair[1])
    check = given(forms, TURNS, TURNS, st.sampled_from(["", "\n"]))(check_mixed)
    (MANY(check) if examples == "many" else check)()


def test_the_place_is_told() -> None:
    text = written("WhatsApp", FIRST) + written("stamp", SECOND)
    with pytest.raises(DataFormatError, match=r"a\.txt, line 4: .* may begin a script, or"):
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
