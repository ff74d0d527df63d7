"""The page's answers without a browser: results, refusals, cancelling, and a chat that agrees with the whole dialogue."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_serving import SCRIPT, tiny_predictor

from emonet.serving.limits import Limits
from emonet.serving.page import Page

VISITOR: Any = SimpleNamespace(session_hash="visitor")


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(tiny_predictor(), Limits(turns=1000))


def last(page: Page, script: str) -> dict[Any, Any]:
    return list(page._analyse_text(script, VISITOR))[-1]


def test_a_script_is_shown_whole(page: Page) -> None:
    shown = last(page, SCRIPT + "\n\nZed: no")
    analysis = shown[page.analysis]
    assert [(turn["speaker"], turn["text"]) for turn in analysis.dialogues[0][1]] == [
        tuple(line.split(": ")) for line in SCRIPT.split("\n")
    ]
    assert "7 turns, 4 speakers, 2 dialogues" in shown[page.status]
    assert shown[page.turns].count('class="emo-turn"') == 6 and "timeline.png" in shown[page.files]


def test_an_uploaded_file_is_read_by_its_ending(page: Page, tmp_path: Path) -> None:
    (tmp_path / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    shown = list(page._analyse_file(str(tmp_path / "film.srt"), VISITOR))[-1]
    assert "1 of them don&#x27;t say who speaks" in shown[page.status]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "empty dialogue"),
        ("no speaker", "line 1: no `Name: text`"),
        ("[" * 20_000, "too deep"),
        ("A: b\n" * 1001, "over 1000 turns"),
    ],
    ids=["empty", "no speaker", "nested", "long"],
)
def test_a_wrong_script_gets_its_reason(page: Page, script: str, reason: str) -> None:
    shown = last(page, script)
    assert (
        reason in shown[page.status] and 'role="alert"' in shown[page.status] and set(shown) == {page.status}
    )


def test_a_script_can_be_cancelled_while_it_waits_or_runs(page: Page) -> None:
    with page.predictor.alone():
        steps = page._analyse_text(SCRIPT, VISITOR)
        next(steps)
        assert "<progress" in next(steps)[page.status]
        page._cancel(VISITOR)
        end = list(steps)
    assert "Cancelled" in end[-1][page.status] and page.analysis not in end[-1]
    assert "6 turns" in last(page, SCRIPT)[page.status], "the next one runs"


def test_a_failure_of_the_server_says_so_and_no_more(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page.predictor, "predict", lambda *_, **__: 1 / 0)
    shown = last(page, SCRIPT)
    assert "its log says why" in shown[page.status] and "division" not in shown[page.status]


def test_a_script_that_takes_too_long_is_ended() -> None:
    page = Page(tiny_predictor(), Limits(page_seconds=0.0))
    assert "Not done within 0 seconds" in last(page, SCRIPT)[page.status]


def test_a_chat_agrees_with_the_whole_dialogue(page: Page) -> None:
    session, analysis = None, None
    for line in SCRIPT.split("\n"):
        shown = page._say(*line.split(": "), session, analysis)
        session, analysis = shown[page.session], shown[page.analysis]
        assert shown[page.text] == ""
    whole = last(page, SCRIPT)[page.analysis].dialogues[0][1]
    for turn, wanted in zip(analysis.dialogues[0][1], whole, strict=True):
        assert turn["scores"] == pytest.approx(wanted["scores"], abs=1e-5)
    assert "Give a name" in page._say(" ", "hi", session, analysis)[page.status]


def test_a_model_that_sees_the_future_has_no_chat() -> None:
    page = Page(tiny_predictor(causal=False), Limits())
    assert "Paste the whole script" in page._say("Ann", "hi", None, None)[page.status]


def test_why_explains_the_turn_that_was_asked_for(page: Page) -> None:
    analysis = last(page, SCRIPT)[page.analysis]
    _, choice, text = page._ask(analysis, 0, SimpleNamespace(place=4))  # type: ignore[arg-type]
    assert choice["value"] == 4 and text.count('class="emo-influence') == 5 and "i hate this" in text
    assert "not there any more" in page._explain(analysis, 0, 99)


def test_the_page_asks_nothing_of_other_hosts_and_hides_its_functions(page: Page) -> None:
    config = page.blocks.get_config_file()
    assert all(function["api_visibility"] == "private" for function in config["dependencies"])
    assert not page.blocks.analytics_enabled
