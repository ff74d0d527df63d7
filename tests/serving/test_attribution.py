"""Occlusion says what the model itself says of the dialogue without the turn."""

from typing import Any

import pytest
from tiny import DIALOGUE, OTHER
from tiny_serving import tiny_predictor

from emonet.serving.analysis import Analysis
from emonet.serving.attribution import occlusion
from emonet.serving.explanation import explanation

TURNS = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
HISTORY = {"Ann": ["i hate this so very much", "leave me alone"], "Zed": ["no"]}
KINDS: list[dict[str, Any]] = [
    {},
    {"speaker_memory": "dialogue"},
    {"speaker_memory": "none"},
    {"preset": "compm"},
    {"preset": "emonet-fast", "family": "llama"},
    {"causal": False},
]


def predicted(predictor: Any, turns: Any, history: Any, place: int) -> dict[str, float]:
    [rows] = predictor.predict([turns], [history])
    return rows[place]["scores"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("place", [0, 2, 5])
def test_each_influence_is_the_change_without_the_turn(kind: dict[str, Any], place: int) -> None:
    predictor = tiny_predictor(**kind)
    found = occlusion(predictor.model, predictor.processor, TURNS, place, HISTORY)
    scores = predicted(predictor, TURNS, HISTORY, place)
    assert found.score == pytest.approx(scores[found.label], abs=1e-5) and found.label == max(
        scores, key=scores.__getitem__
    )
    wanted: dict[int | None, float] = {}
    for other in range(len(TURNS) if kind.get("causal") is False else place):
        if other != place:
            without = predicted(
                predictor, TURNS[:other] + TURNS[other + 1 :], HISTORY, place - (other < place)
            )
            wanted[other] = scores[found.label] - without[found.label]
    if predictor.config.speaker_memory == "corpus" and TURNS[place]["speaker"] in HISTORY:
        wanted[None] = scores[found.label] - predicted(predictor, TURNS, {"Zed": ["no"]}, place)[found.label]
    assert {influence.place: influence.change for influence in found.influences} == pytest.approx(
        wanted, abs=1e-5
    )
    assert place == 0 or max(map(abs, wanted.values())) > 1e-4, "the test's model ignores its context"


def test_a_long_dialogue_is_explained_in_its_last_window() -> None:
    predictor = tiny_predictor(backbone={"max_position_embeddings": 64})
    turns = TURNS * 12
    found = occlusion(predictor.model, predictor.processor, turns, 70)
    assert found.first == 30 and len(found.influences) == 40
    assert found.score == pytest.approx(predicted(predictor, turns, {}, 70)[found.label], abs=1e-5)
    changes = [abs(influence.change) for influence in found.influences]
    assert changes[0] == pytest.approx(0, abs=1e-6), (
        "turn 30 has long left the window, and was not this speaker's"
    )
    assert min(changes[-3:]) > 1e-5


def test_there_must_be_such_a_turn() -> None:
    predictor = tiny_predictor()
    with pytest.raises(IndexError):
        occlusion(predictor.model, predictor.processor, TURNS, 6)


def test_the_explanation_says_how_it_was_found_and_quotes_every_turn() -> None:
    predictor = tiny_predictor()
    dialogues = [("a", OTHER), ("b", TURNS)]
    analysis = Analysis(
        predictor.labels,
        [(name, rows) for (name, _), rows in zip(dialogues, predictor.predict([OTHER, TURNS]), strict=True)],
    )
    found = occlusion(predictor.model, predictor.processor, TURNS, 5, analysis.said_before(1))
    page = explanation(analysis, 1, found)
    assert (
        "occlusion" in page
        and "Attention weights are not used" in page
        and "all they said in earlier dialogues" in page
    )
    assert page.count('class="emo-influence') == len(found.influences) + 1  # and the list
    assert found.score == pytest.approx(analysis.dialogues[1][1][5]["score"], abs=1e-5), (
        "what is explained is what is shown"
    )
