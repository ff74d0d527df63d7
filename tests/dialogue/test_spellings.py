"""Every person of an input has one name, and roles are forgotten after a dialogue."""

import logging
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonet.dialogue.names import clean_name
from emonet.dialogue.spellings import SpeakerNames, with_one_name_each


def turn(name: str) -> dict[str, Any]:
    return {"speaker": name, "text": "hi"}


def speakers(turns: Any) -> list[str]:
    return [turn["speaker"] for turn in turns]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def test_two_spellings_of_a_known_person_are_one_and_told(told: pytest.LogCaptureFixture) -> None:
    names = SpeakerNames(["Ross"])
    assert [names.of(name) for name in ("ROSS", "Ross", "ross\u200b", "ROSS")] == ["Ross"] * 4
    assert [record.message.split(" are ")[0] for record in told.records] == ["ROSS and Ross", "ROSS and ross"]


def test_one_spelling_and_invisible_characters_are_not_worth_a_word(told: pytest.LogCaptureFixture) -> None:
    names = SpeakerNames(["Ross"])
    assert [names.of(name) for name in ("ROSS", " ROSS", "ROSS\u200b", "Zoe\u0308", "Zoë")][3:] == ["Zoë"] * 2
    assert not told.records


def test_persons_that_differ_by_case_are_told_apart(told: pytest.LogCaptureFixture) -> None:
    names = SpeakerNames(["Ross", "ROSS"])
    assert [names.of(name) for name in ("ROSS", "Ross")] == ["ROSS", "Ross"] and not told.records
    assert names.of("ross") == "ross"
    assert "another person than Ross and ROSS" in told.text


def test_the_persons_of_a_history_are_known(told: pytest.LogCaptureFixture) -> None:
    names = SpeakerNames(["Ross"], history=["ROSS", "Zoe", "ZOE", "Ben"])
    assert names.utterances({"ROSS": ["a"], "Ben": ["b"]}) == {"Ross": ["a"], "Ben": ["b"]}
    assert [names.of(name) for name in ("Zoe", "ZOE", "BEN")] == ["Zoe", "ZOE", "Ben"]
    merged = SpeakerNames(["Ross"], history=["Ross", "ROSS"]).utterances({"Ross": ["a"], "ROSS": ["b"]})
    assert merged == {"Ross": ["a", "b"]}


def test_unknown_persons_keep_their_first_spelling(told: pytest.LogCaptureFixture) -> None:
    first, second = with_one_name_each([[turn("Zoe"), turn("ZOE")], [turn("zoe")]])[0]
    assert speakers(first + second) == ["Zoe"] * 3 and "Zoe and ZOE are taken for one" in told.text


def test_a_role_keeps_its_spelling_in_its_dialogue_only(told: pytest.LogCaptureFixture) -> None:
    first, second = with_one_name_each([[turn("Man"), turn("MAN")], [turn("MAN")]])[0]
    assert speakers(first) == ["Man", "Man"] and speakers(second) == ["MAN"]


def test_each_history_makes_an_input_of_its_own() -> None:
    dialogues, histories, _ = with_one_name_each(
        [[turn("ZOE")], [turn("ZOE")]], [{"Zoe": ["a"]}, {}], known=["Ross"]
    )
    assert [speakers(turns) for turns in dialogues] == [["Zoe"], ["ZOE"]] and histories == [
        {"Zoe": ["a"]},
        {},
    ]


def test_with_roles_nobody_is_known() -> None:
    turns = with_one_name_each([[turn("ROSS")]], known=["Ross"], speakers="roles")[0][0]
    assert turns == [{"speaker": "ROSS", "text": "hi", "speaker_id": 0}]


@given(st.text(st.characters(categories=("L",)), min_size=1))
def test_forms_of_a_name_are_one_person(name: str) -> None:
    names = SpeakerNames(warn=False)
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {
        f"\u200e{name}\u200f",
        f" {name} ",
    }
    assert {names.of(form) for form in forms} == {clean_name(name)}
