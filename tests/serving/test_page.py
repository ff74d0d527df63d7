"""The page's answers without a browser: results, refusals, cancelling, and a chat that
agrees with the whole dialogue.
"""

import base64
import json
import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from tiny_serving import SCRIPT, tiny_predictor

from emonet.serving.limits import Limits
from emonet.serving.page import JOBS, Page

VISITOR: Any = SimpleNamespace(session_hash="visitor")


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(tiny_predictor(), Limits(turns=1000))


def last(page: Page, script: str) -> dict[Any, Any]:
    return list(page._analyse_text(script, VISITOR))[-1]


def said(page: Page, speaker: str, text: str, session: Any, analysis: Any) -> dict[Any, Any]:
    return list(page._say(speaker, text, session, analysis, VISITOR))[-1]


def event(**told: Any) -> gr.EventData:
    return gr.EventData(None, told)


def test_a_script_is_shown_whole(page: Page) -> None:
    shown = last(page, SCRIPT + "\n\nZed: no")
    analysis = shown[page.analysis]
    assert [(turn["speaker"], turn["text"]) for turn in analysis.dialogues[0][1]] == [
        tuple(line.split(": ")) for line in SCRIPT.split("\n")
    ]
    assert "7 turns, 4 speakers, 2 dialogues" in shown[page.status]
    assert shown[page.turns].count('class="emo-turn"') == 6


def test_an_uploaded_file_is_read_by_its_ending(page: Page) -> None:
    raw = b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"
    sent = event(name="C:\\films\\film.srt", size=len(raw), content=base64.b64encode(raw).decode())
    shown = list(page._analyse_file(sent, VISITOR))[-1]
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
        reason in shown[page.status]
        and 'role="alert"' in shown[page.status]
        and set(shown) == {page.status, page.cancel}
    )


def test_whatever_a_visitor_starts_can_be_cancelled_while_it_waits(page: Page) -> None:
    shown = last(page, SCRIPT)
    analysis = shown[page.analysis]
    session = page.predictor.session()
    for steps in (
        page._analyse_text(SCRIPT, VISITOR),
        page._say("Ann", "hi", session, analysis, VISITOR),
        page._explain(analysis, 0, 4, VISITOR),
        page._ask(analysis, 0, event(place=4), VISITOR),
    ):
        with page.predictor.alone():
            first = next(steps)
            progress = first if page.cancel in first else next(steps)
            assert any("<progress" in str(value) for value in progress.values())
            page._cancel(VISITOR)
            *_, end = steps
        assert any("Cancelled" in str(value) for value in end.values()) and page.analysis not in end
    time.sleep(0.2)
    assert session.turns == 0 and analysis.size == 6, "a turn that was cancelled before its pass is not heard"
    assert "6 turns" in last(page, SCRIPT)[page.status], "the next one runs"


def test_a_new_job_ends_the_one_before_without_a_word(page: Page) -> None:
    with page.predictor.alone():
        earlier = page._analyse_text(SCRIPT, VISITOR)
        next(earlier)
        later = page._analyse_text("Zed: no", VISITOR)
        next(later)
        assert list(earlier) == []
    assert "1 turn, 1 speaker" in list(later)[-1][page.status]


def test_one_visitor_too_many_is_told_at_once(page: Page) -> None:
    under_way = []
    with page.predictor.alone():
        for number in range(JOBS):
            under_way.append(page._analyse_text("Zed: no", SimpleNamespace(session_hash=str(number))))  # type: ignore[arg-type]
            next(under_way[-1])
        [refused] = page._analyse_text(SCRIPT, VISITOR)
        assert f"{JOBS} visitors" in refused[page.status]
        for steps in under_way:
            steps.close()  # type: ignore[attr-defined]
    assert "6 turns" in last(page, SCRIPT)[page.status], "who closed the page makes room"


def test_a_download_is_made_when_it_is_asked_for(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        "emonet.serving.page.parcel", lambda kind, *_: made.append(kind) or json.dumps({"name": kind})
    )
    shown = said(page, "Ann", "hello", None, None)
    assert not made, "a chat turn makes none"
    *_, end = page._download("Download JSON", shown[page.analysis], VISITOR)
    assert made == ["Download JSON"] and json.loads(end[page.parcel]) == {"name": "Download JSON"}
    for kind, analysis in (("passwd", shown[page.analysis]), ("Download JSON", None)):
        [refused] = page._download(kind, analysis, VISITOR)
        assert "not there any more" in refused[page.status] and made == ["Download JSON"]


def test_a_failure_of_the_server_says_so_and_no_more(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page.predictor, "predict", lambda *_, **__: 1 / 0)
    shown = last(page, SCRIPT)
    assert "its log says why" in shown[page.status] and "division" not in shown[page.status]


def test_a_script_that_takes_too_long_is_ended() -> None:
    page = Page(tiny_predictor(), Limits(page_seconds=0.0))
    assert "Not done within 0 seconds" in last(page, SCRIPT)[page.status]
    page = Page(tiny_predictor(), Limits(page_seconds=0.5))
    with page.predictor.alone():  # which never comes free
        assert "Not done within 0.5 seconds" in last(page, SCRIPT)[page.status]


def test_a_chat_agrees_with_the_whole_dialogue(page: Page) -> None:
    session, analysis = None, None
    for line in SCRIPT.split("\n"):
        shown = said(page, *line.split(": "), session, analysis)
        session, analysis = shown[page.session], shown[page.analysis]
        assert shown[page.text] == ""
    whole = last(page, SCRIPT)[page.analysis].dialogues[0][1]
    for turn, wanted in zip(analysis.dialogues[0][1], whole, strict=True):
        assert turn["scores"] == pytest.approx(wanted["scores"], abs=1e-5)
    assert "Give a name" in said(page, " ", "hi", session, analysis)[page.status]


def test_a_model_that_sees_the_future_has_no_chat() -> None:
    page = Page(tiny_predictor(causal=False), Limits())
    assert "Paste the whole script" in said(page, "Ann", "hi", None, None)[page.status]


def test_why_explains_the_turn_that_was_asked_for(page: Page) -> None:
    analysis = last(page, SCRIPT)[page.analysis]
    first, *_, end = page._ask(analysis, 0, event(place=4), VISITOR)
    text = end[page.explanation]
    assert (
        first[page.asked]["value"] == 4 and text.count('class="emo-influence') == 5 and "i hate this" in text
    )
    for place in (99, -1, "4", None):
        [refused] = page._explain(analysis, 0, place, VISITOR)
        assert "not there any more" in refused[page.explanation]
    for seen, number in ((None, 0), (analysis, 7), (analysis, "0"), (analysis, None)):
        assert "not there any more" in page._choose(seen, number)[page.status]


def test_a_page_that_is_open_to_all_says_so(page: Page) -> None:
    def text(page: Page) -> str:
        return json.dumps(page.blocks.get_config_file(), default=str)

    assert "Anyone who reaches this page may use it" in text(Page(page.predictor, Limits(), open_to_all=True))
    assert "Anyone who reaches this page" not in text(page)


def test_the_page_asks_nothing_of_other_hosts_and_hides_its_functions(page: Page) -> None:
    config = page.blocks.get_config_file()
    assert all(function["api_visibility"] == "private" for function in config["dependencies"])
    assert not page.blocks.analytics_enabled
