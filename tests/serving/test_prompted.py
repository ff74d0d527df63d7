"""A prompted model behind the page: progress, chat, explanation and profiles."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from tiny import DIALOGUE, OTHER
from tiny_prompted import prompted

from emonet.prompted.configuration import PromptSettings
from emonet.prompted.prefix_reader import PrefixReader
from emonet.prompted.prompts import LabelledTurn, SpeakerFacts
from emonet.serving.attribution import prompted_occlusion, trajectory_before
from emonet.serving.limits import Limits
from emonet.serving.page.analysis import Analysis
from emonet.serving.page.events import Page
from emonet.serving.predictor import Predictor

VISITOR: Any = SimpleNamespace(session_hash="visitor")
TURNS = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
EARLIER = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in OTHER]


def predictor_of(decoder: Path, **settings: Any) -> Predictor:
    model = prompted(decoder, PromptSettings(**{"window": 3, "trajectory": 2, "biography": True, **settings}))
    model.processor.biographies = {"Ann": {"text": "great <news>"}}
    return Predictor(model, model.processor, "tiny")


def analysis_of(predictor: Predictor, *dialogues: Any) -> Analysis:
    return Analysis(
        predictor.labels, [(str(number), rows) for number, rows in enumerate(predictor.predict(dialogues))]
    )


@pytest.mark.parametrize("index", [1, 4, 5])
@pytest.mark.parametrize("settings", [{}, {"trajectory": 0}, {"future_window": 2}], ids=str)
def test_each_influence_is_the_change_without_the_turn(
    settings: dict[str, Any], index: int, decoder: Path
) -> None:
    predictor = predictor_of(decoder, **settings)
    analysis = analysis_of(predictor, EARLIER, TURNS)
    found = predictor.explain(analysis.until(1), index)
    shown = analysis.dialogues[1][1][index]
    assert found.label == shown["label"] and found.score == pytest.approx(shown["score"], abs=1e-4), (
        "what is explained is shown"
    )
    future = settings.get("future_window", 0)
    occluded = [influence.index for influence in found.influences if influence.index is not None]
    assert occluded == [other for other in range(min(len(TURNS), index + 1 + future)) if other != index]

    # Compute the influence of the turn before by hand, from the prompt without it.
    before, processor = index - 1, predictor.processor
    trajectory = [turn for other, turn in trajectory_before(analysis.until(1), index) if other != before]
    turns = [*TURNS[max(0, index - 3) : before], *TURNS[index : index + 1 + future]]
    model = prompted(
        decoder, PromptSettings(**{**processor.config.prompts, "window": len(turns), "future_window": future})
    )
    model.processor.biographies = processor.biographies
    facts = SpeakerFacts(model.processor.biography(TURNS, index, TURNS[index]["speaker"]), trajectory)
    ids = model.processor.prompt(turns, before - max(0, index - 3), lambda _: facts)
    scores = PrefixReader(model.language_model, model.tree).log_probabilities(ids).exp()
    without = float(scores[predictor.labels.index(found.label)])
    [influence] = [influence for influence in found.influences if influence.index == before]
    assert influence.change == pytest.approx(found.score - without, abs=1e-4) and abs(influence.change) > 1e-5


def test_a_turn_that_no_prompt_holds_has_no_influence(decoder: Path) -> None:
    predictor = predictor_of(decoder, window=1, trajectory=1)
    turns = [{**turn, "speaker": name} for turn, name in zip(TURNS, "ABABAB", strict=True)]
    trajectory: list[tuple[int | None, LabelledTurn]] = [
        (1, LabelledTurn("x", "a")),
        (3, LabelledTurn("y", "b")),
    ]
    found = prompted_occlusion(predictor.model, predictor.processor, turns, 5, lambda _: trajectory)
    assert [influence.index for influence in found.influences if influence.change] == [3, 4]
    with pytest.raises(IndexError):
        prompted_occlusion(predictor.model, predictor.processor, turns, 6)


def test_the_page_chats_explains_and_shows_biographies(decoder: Path) -> None:
    page = Page(predictor_of(decoder), Limits())
    components, results = page.components, page.components.chat_results
    session, analysis = None, None
    for turn in TURNS:
        shown = list(page._say(turn["speaker"], turn["text"], session, analysis, VISITOR))[-1]
        session, analysis = shown[components.session], shown[results.analysis]
    [whole] = page.predictor.predict([TURNS])
    assert [row["label"] for row in analysis.dialogues[0][1]] == [row["label"] for row in whole]
    assert (
        "great &lt;news&gt;" in shown[results.profiles]
        and "which emotion the model named" in shown[results.profiles]
    )
    first, *_, end = results._ask(analysis, 0, gr.EventData(None, {"index": 4}), VISITOR)
    assert first[results.asked]["value"] == 4 and end[results.explanation].count('class="emo-influence') == 5


def test_a_report_counts_the_turns(decoder: Path) -> None:
    seen: list[Any] = []
    predictor_of(decoder).predict([EARLIER, TURNS], report=lambda *step: seen.append(step))
    whole = len(EARLIER) + len(TURNS)
    steps = list(dict.fromkeys(seen))  # a report is repeated within a pass, so that it can stop it
    assert steps == [("preparing", 0, 1), *(("turns", done + 1, whole) for done in range(whole))]
