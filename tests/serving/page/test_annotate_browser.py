"""Labelling a script in Chromium: by mouse, by keyboard alone, and with files."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import RunningServer, running_server
from tiny import make_tokenizer, taking_labels
from tiny_serving import LINES, SCRIPT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The page of a model that takes known labels."""
    model, processor = taking_labels(make_tokenizer())
    model.processor = processor
    folder = tmp_path_factory.mktemp("labels") / "run"
    model.save_pretrained(folder)
    with running_server(folder) as running:
        yield running


def open_view(page: Any) -> None:
    page.fill("#script textarea", SCRIPT)
    page.click("#analyse")
    page.wait_for_selector("#script-turn-6")
    page.get_by_role("tab", name="Annotate").click()
    page.wait_for_selector("#annotate-turns [aria-current]")


def wait_for(page: Any, text: str, element: str = "annotate-progress") -> None:
    page.wait_for_function(
        "([element, text]) => document.getElementById(element).innerText.includes(text)", arg=[element, text]
    )


def current(page: Any) -> tuple[int, bool]:
    """The current turn, from 1, and whether it has the focus."""
    script = "[Number(document.querySelector('[aria-current]').dataset.turn) + 1, "
    script += "document.activeElement === document.querySelector('[aria-current]')]"
    turn, focused = page.evaluate(script)
    return turn, focused


def labels_of(page: Any) -> list[str]:
    """The labels that `Export JSONL` writes; empty for a turn without one."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export JSONL").click()
    lines = Path(waiting.value.path()).read_text("utf-8").splitlines()
    return [json.loads(line)["emotion"] or "" for line in lines]


def test_by_keyboard_alone(page: Any) -> None:
    open_view(page)
    assert current(page) == (1, True)
    page.keyboard.press("2")
    page.keyboard.press("3")  # at once: no label may be dropped
    wait_for(page, "2 of 6 confirmed")
    wait_for(page, "changed", "annotate-status")  # what is shown changes no more
    assert current(page) == (3, True), "the next turn is current, whatever the server renders"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    assert current(page) == (6, True)
    shown = page.locator("[aria-current] .emo-chip").first.inner_text().split()[1]
    page.keyboard.press("Enter")
    wait_for(page, "3 of 6 confirmed")
    assert labels_of(page)[5] == shown, "Enter confirms what is shown"
    page.focus("[aria-current]")
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    wait_for(page, "2 of 6 confirmed")
    page.keyboard.press("u")
    wait_for(page, "3 of 6 confirmed")
    page.keyboard.press("Control+z")
    wait_for(page, "2 of 6 confirmed")
    names = page.locator("[data-turn='0'] [data-label]").all_text_contents()
    found = labels_of(page)
    assert found[0] in names[1] and found[1] in names[2] and not any(found[2:]), "Enter was undone"


def labels_shown(page: Any) -> list[str]:
    return [
        text.split()[1] for text in page.locator("#annotate-turns .emo-head > .emo-chip").all_inner_texts()
    ]


def test_what_follows_changes_visibly(page: Any) -> None:
    open_view(page)
    before = labels_shown(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    wait_for(page, "changed", "annotate-status")
    after, changed = labels_shown(page), page.locator(".emo-changed")
    turns = [int(changed.nth(index).get_attribute("data-turn")) for index in range(changed.count())]
    assert turns and min(turns) > 1, "a label tells about later turns"
    assert [index for index in range(2, 6) if after[index] != before[index]] == turns
    assert all(f"changed, was {before[turn]}" in changed.nth(i).inner_text() for i, turn in enumerate(turns))
    page.keyboard.press("u")
    wait_for(page, "0 of 6 confirmed")
    wait_for(page, "Undone: turn 2", "annotate-status")
    wait_for(page, "changed", "annotate-status")
    assert labels_shown(page) == before


def test_the_least_certain_turn_comes_first(page: Any) -> None:
    open_view(page)
    page.get_by_label("go to the least certain turn").check()
    wait_for(page, "next: turn")
    for done in range(1, 4):
        following = int(page.inner_text("#annotate-progress").split("next: turn ")[1].split(",")[0])
        page.wait_for_function(
            "turn => document.querySelector('[aria-current]').dataset.turn == turn", arg=following - 1
        )
        page.keyboard.press("1")
        wait_for(page, f"{done} of 6 confirmed")


def test_by_mouse_and_exports(page: Any) -> None:
    open_view(page)
    turn = page.locator("#annotate-turns [data-turn='3']")
    turn.click()
    label = turn.locator("[data-label='1']").inner_text().split()[2]
    turn.locator("[data-label='1']").click()
    wait_for(page, "1 of 6 confirmed")
    assert "✓ given" in turn.inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export CSV").click()
    text = Path(waiting.value.path()).read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["emotion"] for row in rows] == ["", "", "", label, "", ""]
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export Label Studio").click()
    assert waiting.value.suggested_filename == "labels.label-studio.json"
    [task] = json.loads(Path(waiting.value.path()).read_text("utf-8"))
    assert len(task["predictions"][0]["result"]) == 6
    page.get_by_role("tab", name="Turns").click()
    page.wait_for_function("() => document.querySelector('#script-turn-4').innerText.includes('100%')")


def test_a_second_annotator_and_labels_from_a_file(page: Any, tmp_path: Path) -> None:
    open_view(page)
    page.keyboard.press("1")
    wait_for(page, "1 of 6 confirmed")
    name = page.locator("[data-turn='0'] .emo-chip").first.inner_text().split()[1]
    other = page.locator("[data-turn='1'] [data-label='1']").text_content().split()[2]
    rows = [(speaker, text, (other, name)[index % 2]) for index, (speaker, text) in enumerate(LINES)]
    lines = [f"0,{speaker},{text},{label}" for speaker, text, label in rows]
    (tmp_path / "ben.csv").write_text("\n".join(["dialogue_id,speaker,text,emotion", *lines]))
    page.set_input_files("#annotate-second input", tmp_path / "ben.csv")
    wait_for(page, "agree on 0 of 1 turns", "annotate-agreement")
    page.focus("[aria-current]")
    page.keyboard.press("d")
    assert current(page) == (1, True)
    page.keyboard.press("2")
    wait_for(page, "agree on 1 of 1 turns", "annotate-agreement")
    page.set_input_files("#annotate-resume input", tmp_path / "ben.csv")
    wait_for(page, "6 of 6 confirmed")
    wait_for(
        page, "agree on 6 of 6 turns (100%), Cohen's kappa 1.00, Fleiss' kappa 1.00", "annotate-agreement"
    )
    assert labels_of(page) == [label for *_, label in rows]
