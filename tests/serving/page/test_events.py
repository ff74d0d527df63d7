"""The page's events without a browser: results, refusals, cancelling and the chat."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.blocks import Block
from gradio.context import LocalContext
from tiny_serving import LINES, SCRIPT, tiny_predictor

from emonet.serving.limits import Limits
from emonet.serving.page import results as results_page
from emonet.serving.page import visitors
from emonet.serving.page.events import Page
from emonet.serving.page.examples import EXAMPLES
from emonet.serving.page.gradio_guard import GradioGuard
from emonet.serving.page.model_card import ModelCard
from emonet.serving.page.results import Results

VISITOR: Any = SimpleNamespace(session_hash="visitor")


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(tiny_predictor(), Limits(turns=1000))


def named(page: Page, update: dict[Any, Any]) -> dict[str, Any]:
    """The updates of components, by their names in the layout."""
    names = {}
    for holder in (page.components, page.components.script_results, page.components.chat_results):
        names |= {one: name for name, one in vars(holder).items() if isinstance(one, Block)}
    return {names[component]: value for component, value in update.items()}


def last(page: Page, updates: Iterator[Any]) -> dict[str, Any]:
    """The last of an event's updates, by the components' names in the layout."""
    *_, update = updates
    return named(page, update)


def analyse(page: Page, script: str) -> dict[str, Any]:
    return last(page, page._analyse_text(script, VISITOR))


def say(page: Page, speaker: str, text: str, session: Any = None, analysis: Any = None) -> dict[str, Any]:
    return last(page, page._say(speaker, text, session, analysis, VISITOR))


def script(page: Page) -> Results:
    return page.components.script_results


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def test_a_script_is_shown_whole(page: Page) -> None:
    results = analyse(page, SCRIPT + "\n\nZed: no")
    [(_, turns), _] = results["analysis"].dialogues
    assert [(turn["speaker"], turn["text"]) for turn in turns] == LINES
    counts = "7 turns, 2 dialogues, 4 speakers: Ann 3, Bob 2, Cat 1, Zed 1."
    assert f"Read as script: {counts}" in results["status"]
    assert results["turns"].count('class="emo-turn"') == 6


def test_what_was_left_out_is_shown(page: Page) -> None:
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "great we won"}]
    results = analyse(page, json.dumps({"messages": messages}))
    assert "chat messages: 1 turn, 1 speaker: user 1; 1 system message left out." in results["status"]
    refused = analyse(page, json.dumps({"title": "T"}))
    assert "its fields are title" in refused["status"] and 'role="alert"' in refused["status"]


def test_an_upload_is_read_by_its_ending(page: Page) -> None:
    raw = b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"
    sent = event(name="C:\\films\\film.srt", size=len(raw), content=base64.b64encode(raw).decode())
    results = last(page, page._analyse_file(sent, VISITOR))
    assert "Turns under #UNKNOWN# don&#x27;t say who speaks: 1." in results["status"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "empty dialogue"),
        ("no speaker\nand none", "line 1"),
        ("[" * 20_000, "too deep"),
        ("A: b\n" * 1001, "over 1000 turns"),
    ],
    ids=["empty", "no speaker", "nested", "long"],
)
def test_a_wrong_script_gets_a_reason(page: Page, script: str, reason: str) -> None:
    updates = analyse(page, script)
    assert reason in updates["status"] and 'role="alert"' in updates["status"]
    assert set(updates) == {"status", "cancel"}, "earlier results stay"


def test_every_job_can_be_cancelled_while_it_waits(page: Page) -> None:
    analysis = analyse(page, SCRIPT)["analysis"]
    session = page.predictor.session()
    for updates in (
        page._analyse_text(SCRIPT, VISITOR),
        page._analyse_example("A scene", VISITOR),
        page._say("Ann", "hi", session, analysis, VISITOR),
        script(page)._explain(analysis, 0, 4, VISITOR),
        script(page)._ask(analysis, 0, event(index=4), VISITOR),
    ):
        with page.predictor.alone():
            first = named(page, next(updates))
            progress = first if "cancel" in first else named(page, next(updates))
            assert any("<progress" in str(value) for value in progress.values())
            page.visitors.cancel(VISITOR)
            end = last(page, updates)
        assert any("Cancelled" in str(value) for value in end.values()) and "analysis" not in end
    time.sleep(0.2)
    assert session.turns == 0 and len(analysis.turns) == 6, "a turn cancelled before its pass is not added"
    assert "6 turns" in analyse(page, SCRIPT)["status"], "the next job runs"


def test_a_new_job_silently_replaces_the_previous_one(page: Page) -> None:
    with page.predictor.alone():
        earlier = page._analyse_text(SCRIPT, VISITOR)
        next(earlier)
        later = page._analyse_text("Zed: no", VISITOR)
        next(later)
        assert list(earlier) == []
    assert "1 turn, 1 speaker" in last(page, later)["status"]


def test_a_job_elsewhere_on_the_page_ends_the_previous_one_with_a_reason(page: Page) -> None:
    with page.predictor.alone():
        earlier = page._analyse_text(SCRIPT, VISITOR)
        next(earlier)
        later = page._say("Ann", "hi", None, None, VISITOR)
        next(later)
        end = last(page, earlier)
        assert "you began something else" in end["status"] and not end["cancel"].visible
        later.close()  # type: ignore[attr-defined]


def test_one_visitor_too_many_is_refused_at_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "MAX_JOBS", 3)
    jobs = []
    with page.predictor.alone():
        for index in range(3):
            visitor: Any = SimpleNamespace(session_hash=str(index))
            jobs.append(page._analyse_text("Zed: no", visitor))
            next(jobs[-1])
        assert "3 visitors" in analyse(page, SCRIPT)["status"]
        for updates in jobs:
            updates.close()  # type: ignore[attr-defined] # as Gradio does when a page is closed
    assert "6 turns" in analyse(page, SCRIPT)["status"], "a closed page makes room"


def test_a_download_is_made_on_request(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def record(kind: str, *_: Any) -> str:
        made.append(kind)
        return json.dumps({"name": kind})

    monkeypatch.setattr(results_page, "parcel", record)
    analysis = say(page, "Ann", "hello")["analysis"]
    assert not made, "a chat turn makes none"
    end = last(page, script(page)._download("Download JSON", analysis, VISITOR))
    assert made == ["Download JSON"] and json.loads(end["parcel"]) == {"name": "Download JSON"}
    for kind, results in (("passwd", analysis), ("Download JSON", None)):
        refused = last(page, script(page)._download(kind, results, VISITOR))
        assert "not there any more" in refused["status"] and made == ["Download JSON"]


def test_a_failure_of_the_server_shows_no_details(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page.predictor, "predict", lambda *_, **__: 1 / 0)
    status = analyse(page, SCRIPT)["status"]
    assert "its log says why" in status and "division" not in status


def test_a_job_that_takes_too_long_is_stopped(page: Page) -> None:
    assert "Not done within 0 s" in analyse(Page(page.predictor, Limits(page_seconds=0.0)), SCRIPT)["status"]
    with page.predictor.alone():
        status = analyse(Page(page.predictor, Limits(page_seconds=0.5)), SCRIPT)["status"]
    assert "Not done within 0.5 seconds" in status


def test_a_chat_agrees_with_the_whole_dialogue(page: Page) -> None:
    session, analysis = None, None
    for speaker, text in LINES:
        results = say(page, speaker, text, session, analysis)
        session, analysis = results["session"], results["analysis"]
        assert results["text"] == ""
    assert analysis is not None
    for turn, expected in zip(analysis.turns, analyse(page, SCRIPT)["analysis"].turns, strict=True):
        assert turn["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert "Give a name" in say(page, " ", "hi", session, analysis)["status"]


def test_a_model_that_sees_the_future_has_no_chat() -> None:
    page = Page(tiny_predictor(causal=False), Limits())
    assert "Paste the whole script" in say(page, "Ann", "hi")["status"]


def test_why_explains_the_turn_asked_for(page: Page) -> None:
    analysis = analyse(page, SCRIPT)["analysis"]
    first, *_, end = script(page)._ask(analysis, 0, event(index=4), VISITOR)
    text = end[script(page).explanation]
    assert first[script(page).asked]["value"] == 4
    assert text.count('class="emo-influence') == 5 and "i hate this" in text
    for index in (99, -1, "4", None):
        refused = last(page, script(page)._explain(analysis, 0, index, VISITOR))
        assert "not there any more" in refused["explanation"]


def test_why_always_says_something(page: Page) -> None:
    results = analyse(page, SCRIPT)
    assert "Choose a turn" in results["explanation"], "before a question"
    end = last(page, script(page)._explain(results["analysis"], 0, 0, VISITOR))
    assert "Nothing was said before" in end["explanation"] and "<ol" not in end["explanation"]


def test_an_example_fills_the_box_and_replaces_the_results(page: Page) -> None:
    forms = ("script", "WhatsApp export", "script with time stamps", "SubRip subtitles")
    for (title, text), form in zip(EXAMPLES.items(), forms, strict=True):
        first, *_, end = (named(page, update) for update in page._analyse_example(title, VISITOR))
        assert first == {"script": text}
        assert f"Read as {form}: " in end["status"] and end["section"].visible
        assert all(turn["text"] in text for turn in end["analysis"].turns)
        assert not any(turn["speaker"] == "#UNKNOWN#" for turn in end["analysis"].turns)
    assert list(page._analyse_example("passwd", VISITOR)) == []


def test_script_and_chat_have_results_of_their_own(page: Page) -> None:
    chat = page.components.chat_results
    assert not set(script(page).outputs) & set(chat.outputs)
    *_, update = page._say("Ann", "hello", None, None, VISITOR)
    assert not set(script(page).outputs) & set(update)
    shown = named(page, update)
    assert "1 turn, 1 speaker." in shown["status"] and 'id="chat-turn-1"' in shown["turns"]
    *_, update = page._analyse_text(SCRIPT, VISITOR)
    assert not set(chat.outputs) & set(update) and 'id="script-turn-6"' in named(page, update)["turns"]


def test_the_card_is_shown_or_linked(page: Page, tmp_path: Path) -> None:
    def shown(page: Page) -> str:
        return json.dumps(page.blocks.get_config_file()["components"], default=str)

    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n<!-- note -->\n# Ours\n\nIt reads.\n")
    card = ModelCard.of(tmp_path)
    assert card == ModelCard("# Ours\n\nIt reads.")
    assert ModelCard.of("emorynlp").text.startswith("# emorynlp"), "a built-in model's"
    assert ModelCard.of("ann/model") == ModelCard(url="https://huggingface.co/ann/model")
    (tmp_path / "README.md").unlink()
    assert ModelCard.of(tmp_path) == ModelCard() and "Model card" not in shown(page)
    both = shown(Page(page.predictor, Limits(), card=ModelCard("It reads.", "https://a.example/<b>")))
    assert "Model card" in both and "It reads." in both and "https://a.example/&lt;b&gt;" in both


def test_programs_get_rows(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = asyncio.run(page.predict(f"{SCRIPT}\n\nZed: no", VISITOR))
    assert [(row["speaker"], row["text"]) for row in rows[:6]] == LINES
    assert [row["dialogue_id"] for row in rows] == ["0"] * 6 + ["1"]
    assert rows[0]["score"] == max(rows[0]["scores"].values()) == rows[0]["scores"][rows[0]["label"]]
    [one] = asyncio.run(page.predict("1\n00:00:01,000 --> 00:00:02,500\nAnn: hello", VISITOR))
    assert set(one) == {"speaker", "text", "start", "end", "label", "score", "scores"} and one["end"] == 2.5
    for text, reason in (("", "empty dialogue"), ("A: b\n" * 1001, "over 1000 turns")):
        with pytest.raises(gr.Error, match=reason):
            asyncio.run(page.predict(text, VISITOR))
    monkeypatch.setattr(page.predictor, "predict", lambda *_, **__: 1 / 0)
    with pytest.raises(gr.Error, match="its log says why"):
        asyncio.run(page.predict("Ann: hi", VISITOR))


def test_a_program_s_calls_run_side_by_side_and_end_with_it(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "MAX_JOBS", 2)

    async def calls() -> list[Any]:
        with page.predictor.alone():
            running = [asyncio.create_task(page.predict("Ann: hi", VISITOR)) for _ in range(2)]
            await asyncio.sleep(0.1)
            with pytest.raises(gr.Error, match="2 visitors have something under way"):
                await page.predict("Ann: hi", VISITOR)
            running[1].cancel()
            await asyncio.sleep(0.1)
            running[1] = asyncio.create_task(page.predict("Ann: hi", VISITOR))
            await asyncio.sleep(0.1)
            page.visitors.leave(VISITOR)
            ended = await asyncio.gather(*running, return_exceptions=True)
        return [*ended, await page.predict("Ann: hi", VISITOR)]

    *ended, answer = asyncio.run(calls())
    assert [str(error) for error in ended] == ["'Cancelled.'"] * 2 and answer[0]["text"] == "hi"


def test_a_program_cancels_one_of_its_calls(page: Page) -> None:
    async def gradio(*_: Any) -> None:
        raise AssertionError("Gradio's own route ends all calls of the session")

    async def call(event_id: str) -> Any:
        LocalContext.event_id.set(event_id)
        return await page.predict("Ann: hi", VISITOR)

    async def calls() -> list[Any]:
        guard = GradioGuard(gradio, page.blocks, Limits(), page.visitors.cancel_call)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://page")
        with page.predictor.alone():
            running = [asyncio.create_task(call(event_id)) for event_id in ("one", "two")]
            await asyncio.sleep(0.1)
            for sent, status in (
                ({"session_hash": "visitor", "fn_index": 0, "event_id": "two"}, 200),
                ({"session_hash": "another", "fn_index": 0, "event_id": "one"}, 200),
                ({"session_hash": "visitor", "event_id": None}, 400),
                (["visitor", "one"], 400),
            ):
                answer = await client.post("/gradio_api/cancel", json=sent)
                assert answer.status_code == status, sent
            await asyncio.sleep(0.1)
            assert [task.done() for task in running] == [False, True]
        return await asyncio.gather(*running, return_exceptions=True)

    answered, cancelled = asyncio.run(calls())
    assert answered[0]["text"] == "hi" and str(cancelled) == "'Cancelled.'"


def test_parts_are_chosen_by_their_index(page: Page) -> None:
    analysis = analyse(page, SCRIPT + "\n\nZed: no")["analysis"]
    assert "Zed" in script(page)._choose(analysis, 1)[script(page).turns]
    for results, index in ((None, 0), (analysis, 7), (analysis, "0"), (analysis, None)):
        assert "not there any more" in script(page)._choose(results, index)[script(page).status]


def test_a_page_that_is_open_to_all_says_so(page: Page) -> None:
    def text(page: Page) -> str:
        return json.dumps(page.blocks.get_config_file(), default=str)

    assert "Anyone who reaches this page may use it" in text(Page(page.predictor, Limits(), open_to_all=True))
    assert "Anyone who reaches this page" not in text(page)


def test_the_page_hides_its_functions_and_reports_nothing(page: Page) -> None:
    config = page.blocks.get_config_file()
    public = [one["api_name"] for one in config["dependencies"] if one["api_visibility"] != "private"]
    assert public == ["predict"]
    assert not page.blocks.analytics_enabled
