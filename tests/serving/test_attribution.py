"""Occlusion agrees with predictions for the dialogue without the turn."""

from typing import Any

import pytest
from tiny import DIALOGUE, OTHER
from tiny_serving import tiny_predictor

from emonet.serving.attribution import occlusion, texts_before
from emonet.serving.page.analysis import Analysis
from emonet.serving.page.explanation import explanation

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


def predicted(predictor: Any, turns: Any, history: Any, index: int) -> dict[str, float]:
    [rows] = predictor.predict([turns], [history])
    return rows[index]["scores"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("index", [0, 2, 5])
def test_each_influence_is_the_change_without_the_turn(kind: dict[str, Any], index: int) -> None:
    predictor = tiny_predictor(**kind)
    found = occlusion(predictor.model, predictor.processor, TURNS, index, HISTORY)
    scores = predicted(predictor, TURNS, HISTORY, index)
    assert found.score == pytest.approx(scores[found.label], abs=1e-5) and found.label == max(
        scores, key=scores.__getitem__
    )
    expected: dict[int | None, float] = {}
    for other in range(len(TURNS) if kind.get("causal") is False else index):
        if other != index:
            without = predicted(
                predictor, TURNS[:other] + TURNS[other + 1 :], HISTORY, index - (other < index)
            )
            expected[other] = scores[found.label] - without[found.label]
    if predictor.config.speaker_memory == "corpus" and TURNS[index]["speaker"] in HISTORY:
        expected[None] = (
            scores[found.label] - predicted(predictor, TURNS, {"Zed": ["no"]}, index)[found.label]
        )
    assert {influence.index: influence.change for influence in found.influences} == pytest.approx(
        expected, abs=1e-5
    )
    assert index == 0 or max(map(abs, expected.values())) > 1e-4, "the test's model ignores its context"


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


def test_an_index_out_of_range_is_refused() -> None:
    predictor = tiny_predictor()
    with pytest.raises(IndexError):
        occlusion(predictor.model, predictor.processor, TURNS, 6)


def test_the_explanation_names_its_method_and_quotes_every_turn() -> None:
    predictor = tiny_predictor()
    dialogues = [("a", OTHER), ("b", TURNS)]
    analysis = Analysis(
        predictor.labels,
        [(name, rows) for (name, _), rows in zip(dialogues, predictor.predict([OTHER, TURNS]), strict=True)],
    )
    found = occlusion(
        predictor.model, predictor.processor, TURNS, 5, texts_before([analysis.dialogues[0][1]])
    )
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
