"""Histories against a brute-force recomputation, and the rule that keeps the splits
apart.
"""

import random
import time

import pytest

from emonet.data.history import speaker_histories
from emonet.dialogue.names import identity
from emonet.dialogue.rows import Dialogue, Turn
from emonet.errors import DataFormatError

NAMES = ["Ann", "Bob", "Cat", "Man", "#ALL#", "The Waiter"]


def random_corpus(seed: int, size: int = 25) -> list[Dialogue]:
    rng = random.Random(seed)
    return [
        Dialogue(
            f"d{number}",
            rng.choice(["train", "train", "validation", "test"]),
            (number,),
            [
                Turn(tuple(rng.sample(NAMES, rng.choice([1, 1, 2]))), f"{number}")
                for _ in range(rng.randint(0, 6))
            ],
        )
        for number in range(size)
    ]


def brute_force(dialogues: list[Dialogue], window: int, scope: str) -> list[list[list[int]]]:
    flat = [(dialogue, turn) for dialogue in dialogues for turn in dialogue.turns]
    wanted = []
    for place, (dialogue, turn) in enumerate(flat):
        me = identity(turn.speakers[0], dialogue.dialogue_id)
        said = [
            index
            for index, (other, earlier) in enumerate(flat[:place])
            if identity(earlier.speakers[0], other.dialogue_id) == me
            and other.split in ("train", dialogue.split)
            and (scope == "corpus" or other is dialogue)
        ]
        wanted.append([] if scope == "none" else said[-window:])
    rows = iter(wanted)
    return [[next(rows) for _ in dialogue.turns] for dialogue in dialogues]


@pytest.mark.parametrize("scope", ["corpus", "dialogue", "none"])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_histories_equal_a_brute_force_recomputation(scope: str, window: int) -> None:
    for seed in range(30):
        dialogues = random_corpus(seed)
        assert speaker_histories(dialogues, window, scope) == brute_force(dialogues, window, scope)


def test_train_never_sees_another_split_and_roles_stay_in_their_dialogue() -> None:
    def dialogue(name: str, split: str) -> Dialogue:
        return Dialogue(name, split, (name,), [Turn(("Ann",), "x"), Turn(("Man",), "y"), Turn(("Man",), "z")])

    corpus = [
        dialogue(f"d{number}", split)
        for number, split in enumerate(["test", "train", "validation", "test", "train"])
    ]
    histories = speaker_histories(corpus, 10, "corpus")
    assert [rows[0] for rows in histories] == [[], [], [3], [0, 3], [3]]
    assert [rows[1] for rows in histories] == [[]] * 5
    assert [rows[2] for rows in histories] == [[1], [4], [7], [10], [13]]


def test_several_people_s_turn_belongs_to_the_first() -> None:
    turns = [Turn(("Ann", "Bob"), "x"), Turn(("Bob",), "y"), Turn(("Ann",), "z")]
    assert speaker_histories([Dialogue("d", "train", (0,), turns)], 10, "corpus") == [[[], [], [0]]]


def test_the_time_is_linear() -> None:
    dialogue = Dialogue("d", "train", (0,), [Turn(("Ann",), "x")] * 60_000)
    start = time.process_time()
    speaker_histories([dialogue], 10, "corpus")
    assert time.process_time() - start < 10  # a quadratic way compares two thousand million pairs


@pytest.mark.parametrize(("window", "scope"), [(0, "corpus"), (10, "everything")])
def test_wrong_settings_are_named(window: int, scope: str) -> None:
    with pytest.raises(DataFormatError, match="history_"):
        speaker_histories([], window, scope)
