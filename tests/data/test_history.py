"""Histories against a plain re-computation, on random small corpora."""

import random

import pytest

from emonet.data.history import speaker_histories
from emonet.dialogue.rows import Dialogue, Turn
from emonet.errors import DataFormatError


def brute_force(dialogues: list[Dialogue], window: int, scope: str) -> list[list[list[int]]]:
    flat = [(d.split, d.dialogue_id, turn.speakers[0]) for d in dialogues for turn in d.turns]
    rows, index = [], 0
    for dialogue in dialogues:
        row = []
        for turn in dialogue.turns:
            earlier = [
                place
                for place, (split, owner, speaker) in enumerate(flat[:index])
                if speaker == turn.speakers[0]
                and split in ("train", dialogue.split)
                and (owner == dialogue.dialogue_id or (scope == "corpus" and speaker != "Man"))
            ]
            row.append([] if scope == "none" else earlier[-window:])
            index += 1
        rows.append(row)
    return rows


@pytest.mark.parametrize("scope", ["corpus", "dialogue", "none"])
@pytest.mark.parametrize("seed", range(8))
def test_histories_equal_the_plain_computation(scope: str, seed: int) -> None:
    rng = random.Random(seed)
    dialogues = []
    for number in range(30):
        turns = [
            Turn((rng.choice(["Ann", "Bob", "Cat", "Man"]),), f"{number}.{n}")
            for n in range(rng.randint(1, 6))
        ]
        dialogues.append(
            Dialogue(f"d{number}", rng.choice(["train", "train", "validation", "test"]), (number,), turns)
        )
    window = rng.randint(1, 5)
    assert speaker_histories(dialogues, window, scope) == brute_force(dialogues, window, scope)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(DataFormatError, match="history_scope='all'"):
        speaker_histories([], 5, "all")
    with pytest.raises(DataFormatError, match="at least 1"):
        speaker_histories([], 0, "corpus")
