"""Views and downloads lose nothing, and no text in them becomes code."""

import base64
import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image
from tiny import LABELS
from tiny_serving import tiny_predictor

from emonet.serving.page.analysis import TURNS_PER_PART, Analysis
from emonet.serving.page.curves import curves
from emonet.serving.page.downloads import DOWNLOADS, csv_text, json_text, parcel
from emonet.serving.page.profiles import MAX_CARDS, profiles, remembered
from emonet.serving.page.timeline import MAX_CURVES, MAX_ROWS, Rows, timeline, timeline_picture
from emonet.serving.page.turn_list import legend, turn_list

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)> $x_1$ & 'q'"


def row(speaker: str, text: str, label: str = "Joyful", **more: Any) -> dict[str, Any]:
    scores = {label: 0.4, **{other: 0.1 for other in LABELS if other != label}}
    return {"speaker": speaker, "text": text, **more, "label": label, "score": 0.4, "scores": scores}


def analysis(*dialogues: list[dict[str, Any]]) -> Analysis:
    return Analysis(LABELS, [(str(index), rows) for index, rows in enumerate(dialogues)])


class Tags(HTMLParser):
    """The tags and the attributes of a piece of HTML."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_text_and_names_stay_text() -> None:
    script = analysis([row(EVIL, EVIL), row("Ann", "")])
    part = script.parts()[0]
    for page in (
        turn_list(script, part),
        timeline(script, part),
        profiles(script, tiny_predictor().processor),
    ):
        found = Tags(page)
        assert not {"script", "img"} & set(found.tags) and not any(
            name.startswith("on") for name, _ in found.attributes
        )
        assert "alert(1)" in page
    assert timeline_picture(script, EVIL)


def test_every_turn_is_in_one_part_and_in_the_timeline_once() -> None:
    long = [row(f"S{index % 3}", f"t{index}", LABELS[index % 7]) for index in range(2 * TURNS_PER_PART + 5)]
    script = analysis(long, long[:3])
    parts = script.parts()
    assert [turn for part in parts for turn in part.turns] == long + long[:3]
    assert [part.title(2) for part in parts][1:] == [
        "Dialogue 1 of 2, turns 101–200 of 205",
        "Dialogue 1 of 2, turns 201–205 of 205",
        "Dialogue 2 of 2",
    ]
    assert [part.title(1) for part in analysis(long).parts()][1:] == [
        "Turns 101–200 of 205",
        "Turns 201–205 of 205",
    ]
    page = timeline(script, parts[1])
    links = [value for name, value in Tags(page).attributes if name == "href"]
    assert links == [f"#script-turn-{number}" for number in range(101, 201)]
    ids = [value for name, value in Tags(turn_list(script, parts[1])).attributes if name == "id"]
    assert [f"#{value}" for value in ids] == links


def test_colour_is_never_alone() -> None:
    script = analysis([row("Ann", "a", label) for label in LABELS])
    pages = turn_list(script, script.parts()[0]), timeline(script, script.parts()[0])
    for label, look in script.looks.items():
        assert all(look.symbol in page and label in page for page in pages)


def test_a_speaker_s_curves_hold_every_turn_and_emotion() -> None:
    scores = [{"Joyful": 0.9, "Sad": 0.1}, {"Sad": 1.0, "Joyful": 0.0}]
    turns = [row("Ann", "a"), row("Bob", "b"), row("Ann", "c", "Sad")]
    for turn, changed in zip((turns[0], turns[2]), scores, strict=True):
        turn["scores"] = {**dict.fromkeys(LABELS, 0.0), **changed}
        turn["score"] = max(changed.values())
    script = analysis(turns)
    page = curves("Ann", script, script.parts()[0])
    assert page.count('class="emo-line"') == len(LABELS) and page.count('class="emo-mark"') == 2
    assert 'points="17,17.2 85,82.0"' in page, "90% of Joyful at the first turn, none at the third"
    assert "1. Joyful 90%" in page and "3. Sad 100%" in page
    assert "Ann&#x27;s probabilities over 2 turns: " in page and "Joyful 0% to 90%" in page
    assert page.count("emo-faint") == len(LABELS) - 2, "what is never probable is faint"
    whole = timeline(script, script.parts()[0])
    assert whole.count("<svg") == 2 and "Each line is an emotion" in whole
    many = analysis([row(f"S{index}", "") for index in range(5000)])
    pages = [timeline(many, part) for part in many.parts()]
    assert all(page.count("<svg") == MAX_CURVES for page in pages), "many speakers"
    assert max(map(len, pages)) < 150_000


def test_the_legend_explains_the_bar() -> None:
    page = legend(analysis().looks)
    assert "The bar in a cell is how probable its emotion is: here 60%" in page and "width:60%" in page


def test_csv_and_json_hold_everything() -> None:
    script = analysis(
        [row("Ann", 'a, "b"\nc', start=1.5, end=2.0), row("Bob", "")], [row("Ann", "=SUM(A1)", "Sad")]
    )
    rows = list(csv.DictReader(io.StringIO(csv_text(script), newline="")))
    fields = ("dialogue_id", "turn", "speaker", "text", "label")
    assert [tuple(line[field] for field in fields) for line in rows] == [
        ("0", "0", "Ann", 'a, "b"\nc', "Joyful"),
        ("0", "1", "Bob", "", "Joyful"),
        ("1", "0", "Ann", "'=SUM(A1)", "Sad"),
    ]
    assert rows[0]["start"] == "1.5" and rows[1]["start"] == "" and float(rows[2]["Sad"]) == 0.4
    whole = json.loads(json_text(script, "tiny"))
    assert [
        (dialogue["dialogue_id"], dialogue["turns"]) for dialogue in whole["dialogues"]
    ] == script.dialogues
    assert whole["labels"] == LABELS and whole["model"] == "tiny"
    parcels = [json.loads(parcel(kind, script, "tiny")) for kind in DOWNLOADS]
    assert [file["name"] for file in parcels] == ["emotions.csv", "emotions.json", "timeline.png"]
    contents = [base64.b64decode(file["content"]) for file in parcels]
    assert contents[0].decode("utf-8-sig") == csv_text(script) and json.loads(contents[1]) == whole
    assert Image.open(io.BytesIO(contents[2])).size[0] > 900


@pytest.mark.parametrize("turns", [1, 40, 3000])
def test_the_picture_has_bounds(turns: int) -> None:
    picture = timeline_picture(
        analysis([row(f"S{index % 4}", "", LABELS[index % 7]) for index in range(turns)]), "title"
    )
    width, height = Image.open(io.BytesIO(picture)).size
    assert 900 < width <= 4500 and 300 < height < 1000
    colours = Image.open(io.BytesIO(picture)).convert("RGB").getcolors(2**20)
    assert colours is not None and any(colour == (240, 228, 66) for _, colour in colours), (
        "Joyful's yellow is there"
    )


def test_the_most_frequent_speakers_have_rows_and_cards() -> None:
    often = [f"S{index}" for index in range(60)]
    turns = [row(name, "") for name in ("rare", *often, *often)]
    rows = Rows.of(turns)
    assert (
        rows.names == often[:MAX_ROWS]
        and rows.others == 41
        and "the other 41 share the last row" in rows.note
    )
    script = analysis(turns)
    page = timeline(script, script.parts()[0])
    assert (
        page.count('class="emo-lane"') == MAX_ROWS + 1 + MAX_CURVES
        and "41 others" in page
        and rows.note in page
    )
    assert page.count('class="emo-cell"') == 100, "every turn is there"
    assert f"grid-row:{MAX_ROWS + 2};grid-column:2;" in page, "a rare speaker is in the last row"
    height = Image.open(io.BytesIO(timeline_picture(script, "title"))).size[1]
    assert height == Image.open(io.BytesIO(timeline_picture(analysis(turns * 5), "title"))).size[1] < 1500
    cards = profiles(script, tiny_predictor().processor)
    assert (
        cards.count('class="emo-card"') == MAX_CARDS
        and f"{MAX_CARDS} speakers with the most turns, of 61" in cards
    )
    assert (
        Rows.of(turns[:MAX_ROWS]).note == "" and "one has the last row" in Rows.of(turns[: MAX_ROWS + 1]).note
    )


def test_profiles_show_what_the_memory_would_hold() -> None:
    first = [row("Ann", "a0"), row("The Waiter", "w0"), row("Ann", "a1")]
    second = [row("Ann", "a2"), row("The Waiter", "w1")]
    script = analysis(first, second)

    def texts(name: str, **changes: Any) -> list[str]:
        return [turn["text"] for turn in remembered(name, script, tiny_predictor(**changes).processor)]

    assert texts("Ann") == ["a0", "a1", "a2"] and texts("The Waiter") == ["w1"]
    assert texts("Ann", memory_window=2) == ["a1", "a2"]
    assert texts("Ann", speaker_memory="dialogue") == ["a2"] and texts("Ann", speaker_memory="none") == []
    page = profiles(script, tiny_predictor().processor)
    assert "one of the 2 people the model was trained on" in page and "a role" in page
