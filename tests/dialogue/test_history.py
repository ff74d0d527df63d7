"""Speaker histories equal a brute-force computation and never leak between splits."""

import random
import time

import pytest

from emonet.dialogue.history import speaker_histories
from emonet.dialogue.names import identity
from emonet.dialogue.tables.rows import Dialogue, Turn
from emonet.errors import DataFormatError

NAMES = ["Ann", "Bob", "Cat", "Man", "#ALL#", "The Waiter"]


def random_corpus(seed: int, size: int = 25) -> list[Dialogue]:
    rng = random.Random(seed)
    return [
        Dialogue(
            f"d{index}",
            rng.choice(["train", "train", "validation", "test"]),
            (index,),
            [
                Turn(tuple(rng.sample(NAMES, rng.choice([1, 1, 2]))), f"{index}")
                for _ in range(rng.randint(0, 6))
            ],
        )
        for index in range(size)
    ]


def brute_force(dialogues: list[Dialogue], window: int, scope: str) -> list[list[list[int]]]:
    flat = [(dialogue, turn) for dialogue in dialogues for turn in dialogue.turns]
    histories = []
    for index, (dialogue, turn) in enumerate(flat):
        speaker = identity(turn.speakers[0], dialogue.dialogue_id)
        history = [
            earlier_index
            for earlier_index, (other, earlier) in enumerate(flat[:index])
            if identity(earlier.speakers[0], other.dialogue_id) == speaker
            and other.split in ("train", dialogue.split)
            and (scope == "corpus" or other is dialogue)
        ]
        histories.append([] if scope == "none" else history[-window:])
    rows = iter(histories)
    return [[next(rows) for _ in dialogue.turns] for dialogue in dialogues]


@pytest.mark.parametrize("scope", ["corpus", "dialogue", "none"])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_histories_equal_brute_force(scope: str, window: int) -> None:
    for seed in range(30):
        dialogues = random_corpus(seed)
        assert speaker_histories(dialogues, window, scope) == brute_force(dialogues, window, scope)


def test_splits_and_roles_stay_apart() -> None:
    def dialogue(name: str, split: str) -> Dialogue:
        return Dialogue(name, split, (name,), [Turn(("Ann",), "x"), Turn(("Man",), "y"), Turn(("Man",), "z")])

    corpus = [
        dialogue(f"d{index}", split)
        for index, split in enumerate(["test", "train", "validation", "test", "train"])
    ]
    histories = speaker_histories(corpus, 10, "corpus")
    assert [rows[0] for rows in histories] == [[], [], [3], [0, 3], [3]]
    assert [rows[1] for rows in histories] == [[]] * 5
    assert [rows[2] for rows in histories] == [[1], [4], [7], [10], [13]]


def test_a_shared_turn_belongs_to_its_first_speaker() -> None:
    turns = [Turn(("Ann", "Bob"), "x"), Turn(("Bob",), "y"), Turn(("Ann",), "z")]
    assert speaker_histories([Dialogue("d", "train", (0,), turns)], 10, "corpus") == [[[], [], [0]]]


def test_time_is_linear() -> None:
    dialogue = Dialogue("d", "train", (0,), [Turn(("Ann",), "x")] * 60_000)
    start = time.process_time()
    speaker_histories([dialogue], 10, "corpus")
    assert time.process_time() - start < 60  # a quadratic algorithm compares 1.8e9 pairs


@pytest.mark.parametrize(("window", "scope"), [(0, "corpus"), (10, "everything")])
def test_wrong_settings_are_refused(window: int, scope: str) -> None:
    with pytest.raises(DataFormatError, match="history_"):
        speaker_histories([], window, scope)
