"""Every dialogue format gives the same turns; anything else is refused by name."""

from typing import Any

import pytest

from emonet.dialogue.reader import as_history, as_turns
from emonet.dialogue.turns import is_dialogue

TURNS = [{"speaker": "Ann", "text": "hi: you"}, {"speaker": "Bob", "text": ""}]


@pytest.mark.parametrize(
    "form",
    [
        TURNS,
        tuple(TURNS),
        [{"role": "Ann", "content": "hi: you"}, {"role": "Bob", "content": "", "extra": 1}],
        [{"speaker": ["Ann", "Cat"], "text": "hi: you"}, {"speaker": ("Bob",), "text": ""}],
        "Ann: hi: you\r\n\n  Bob:\n",
        {"turns": TURNS},
        {"turns": "Ann: hi: you\nBob: "},
    ],
)
def test_every_form_gives_the_same_turns(form: Any) -> None:
    assert is_dialogue(form)
    assert as_turns(form) == TURNS


@pytest.mark.parametrize(
    "batch", [[TURNS, TURNS], ["Ann: hi", "Bob: yo"], [{"turns": TURNS}], [[]], (TURNS,)]
)
def test_a_batch_is_not_a_dialogue(batch: Any) -> None:
    assert not is_dialogue(batch)


def test_an_empty_list_is_a_dialogue() -> None:
    assert is_dialogue([])
    assert as_turns([]) == []


def test_only_line_breaks_end_a_line() -> None:
    assert as_turns("Ann: a\x0bb\u2028c") == [{"speaker": "Ann", "text": "a b\u2028c"}]


def test_one_turn_is_a_dialogue() -> None:
    assert as_turns(TURNS[0]) == as_turns({"role": "Ann", "content": "hi: you"}) == TURNS[:1]


def test_several_dialogues_are_not_one() -> None:
    with pytest.raises(ValueError, match="found 2"):
        as_turns("Ann: a\nBob: b\n\nAnn: c")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (5, TypeError, "int"),
        ({"speakers": "Ann"}, TypeError, "got the keys speakers"),
        ("\n \n", ValueError, "empty"),
        ([1], TypeError, "Turn 0 is int"),
        ([TURNS[0], {"text": "hi"}], ValueError, "Turn 1 has no speaker"),
        ([{"speaker": "Ann"}], ValueError, "Turn 0 has no text"),
        ([{"speaker": "Ann", "text": None}], ValueError, "Turn 0 has no text"),
        ([{"speaker": [], "text": "hi"}], ValueError, "Turn 0 has no speaker"),
        ("no speaker here\nAnn: hi", ValueError, "line 1"),
    ],
)
def test_wrong_dialogues_are_named(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_turns(wrong)


def test_history_from_names_or_from_dialogues() -> None:
    assert as_history(None) == as_history([]) == {}
    assert as_history({"Ann": ("a", "b")}) == {"Ann": ["a", "b"]}
    earlier = ["Ann: a\nThe Waiter: soup", [{"speaker": "Bob", "text": "x"}, {"speaker": "Ann", "text": "b"}]]
    assert as_history(earlier) == {"Ann": ["a", "b"], "Bob": ["x"]}
    assert as_history("Ann: a") == as_history({"turns": "Ann: a"}) == {"Ann": ["a"]}


def test_a_history_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(TypeError, match=r"history\['Ann'\]"):
        as_history({"Ann": "a"})
