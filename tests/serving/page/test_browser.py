"""The page in Chromium: by mouse and by keyboard, at desktop and phone width."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_serving import LINES, SCRIPT

pytestmark = pytest.mark.slow


def download(page: Any, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_paste_results_downloads_and_why(page: Any) -> None:
    page.fill("#script textarea", SCRIPT)
    page.click("#analyse")
    page.wait_for_selector("#script-turn-6")
    assert page.locator(".emo-turn b").all_inner_texts() == [speaker for speaker, _ in LINES]
    assert page.locator(".emo-lane").all_inner_texts() == ["Ann", "Bob", "Cat"] * 2
    cells = page.locator("#script-timeline .emo-cell")
    assert cells.count() == 6 and page.locator("#script-timeline svg").count() == 3
    assert all(text.strip() for text in cells.all_inner_texts()), "symbols, not colour alone"
    panel = page.locator("#script-timeline svg").first.bounding_box()
    assert abs(cells.first.bounding_box()["x"] - panel["x"]) < 3, "curves begin where the timeline does"

    rows = list(csv.DictReader(io.StringIO(download(page, "Download CSV").decode("utf-8-sig"), newline="")))
    assert [(row["speaker"], row["text"]) for row in rows] == LINES
    assert len(json.loads(download(page, "Download JSON"))["dialogues"][0]["turns"]) == 6
    assert download(page, "Download PNG timeline").startswith(b"\x89PNG")
    assert download(page, "Download PNG timeline").startswith(b"\x89PNG"), "a download works twice"

    page.get_by_role("button", name="Why turn 5?").click()
    page.wait_for_selector(".emo-influence")
    assert page.locator(".emo-influence").count() == 4
    page.get_by_role("tab", name="Speakers").click()
    assert page.locator(".emo-card h3").all_inner_texts() == ["Ann", "Bob", "Cat"]


def test_by_keyboard_alone(page: Any) -> None:
    page.focus("#script textarea")
    page.keyboard.press("Control+A")
    page.keyboard.type("Ann: hello\nBob: no")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#analyse') !== null")
    page.keyboard.press("Enter")
    page.wait_for_selector("#script-turn-2")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.className + ' ' + document.activeElement.tagName")
        )
    for part in ("emo-file", "emo-scroll", "SUMMARY", "emo-why"):
        assert any(part in element for element in reached), part
    page.get_by_role("button", name="Why turn 2?").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".emo-influence")


def test_an_example_is_labelled_at_one_click(page: Any) -> None:
    page.get_by_role("button", name="WhatsApp export").click()
    page.wait_for_selector("#script-turn-8")
    assert "Lena: We got the flat!!!" in page.input_value("#script textarea")
    assert "Read as WhatsApp export: 8 turns" in page.inner_text("#script-status")
    assert "1 line without a sender left out" in page.inner_text("#script-status")
    page.get_by_role("tab", name="Why?").click()
    page.wait_for_selector("text=Choose a turn here")


def test_the_card_of_the_model(page: Any) -> None:
    page.get_by_role("tab", name="Model card").click()
    page.wait_for_selector("#card h1")
    assert page.inner_text("#card h1") == "Ours" and "It reads." in page.inner_text("#card")
    assert page.locator("#card script, #card [onerror]").count() == 0 and not page.evaluate("window.harmed")


def test_a_chat_grows_turn_by_turn(page: Any) -> None:
    page.get_by_role("button", name="A scene").click()
    page.wait_for_selector("#script-turn-8")
    page.get_by_role("tab", name="Chat").click()
    assert not page.is_visible("#script-status") and not page.is_visible("#chat-results")
    for number, (speaker, text) in enumerate((("Ann", "great we won"), ("Bob", "<b>no</b>")), start=1):
        page.get_by_role("textbox", name="Speaker").fill(speaker)
        page.get_by_label("Says").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#chat-turn-{number}")
    assert page.locator("#chat-turns .emo-text").all_inner_texts() == ["great we won", "<b>no</b>"]
    assert "2 turns, 2 speakers." in page.inner_text("#chat-status")
    page.get_by_role("tab", name="Script").click()
    assert "8 turns, 2 speakers" in page.inner_text("#script-status")
    assert page.is_visible("#script-turn-8") and not page.is_visible("#chat-turn-1")


def test_a_wrong_script_gets_a_reason_and_a_long_one_can_be_cancelled(page: Any, tmp_path: Path) -> None:
    page.fill("#script textarea", "no speaker\nnor here")
    page.click("#analyse")
    assert "line 1" in page.inner_text(".emo-alert")
    (tmp_path / "long.txt").write_text(
        "\n".join(f"{'ABC'[index % 3]}: hello there how are you {index}" for index in range(4900))
    )
    page.set_input_files("input[type=file]", tmp_path / "long.txt")
    page.wait_for_selector("#script-status progress")
    page.click("#script-cancel")
    page.wait_for_function("document.querySelector('#script-status').innerText.includes('Cancelled')")
    assert not page.is_visible("#script-cancel") and not page.is_visible("#script-results")
