"""Labelling a script by hand: events, files, and what keeps labels from getting lost."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from tiny_serving import LINES, SCRIPT, tiny_predictor

from emonet.annotation.files import read_annotations
from emonet.serving.limits import Limits
from emonet.serving.page.analysis import Analysis
from emonet.serving.page.annotate import Annotate
from emonet.serving.page.annotation import Annotation, given_row
from emonet.serving.page.annotation_list import annotation_list, progress_line
from emonet.serving.page.events import Page
from emonet.serving.predictor import Predictor

VISITOR: Any = SimpleNamespace(session_hash="visitor")
LABELS = ["Joy", "Mad", "Sad"]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(tiny_predictor(), Limits(turns=1000))


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, str]]:
    """A model in which turns feel like the last given label; what it was asked."""
    asked: list[dict[int, str]] = []

    def relabel(
        self: Predictor, kept: Sequence[Any], given: Mapping[int, str], use_later: bool
    ) -> list[dict[str, Any]]:
        asked.append(dict(given))
        rows, felt = [], self.labels[0]
        for index, turn in enumerate(kept):
            felt = given.get(index, felt)
            rows.append({**turn, **given_row(felt, self.labels), "score": 0.5})
        return rows

    monkeypatch.setattr(Predictor, "takes_known_labels", True)
    monkeypatch.setattr(Predictor, "keep", lambda self, dialogues, report: dialogues[-1])
    monkeypatch.setattr(Predictor, "relabel", relabel)
    return asked


def view(page: Page) -> Annotate:
    found = page.components.script_results.annotate
    assert found is not None
    return found


def named(page: Page, updates: Iterator[dict[Any, Any]] | dict[Any, Any]) -> dict[str, Any]:
    """All updates of an event together, by the components' names in the view."""
    names = {id(component): name for name, component in vars(view(page)).items()}
    names |= {id(component): name for name, component in vars(view(page)._shown).items()}
    merged: dict[str, Any] = {}
    for update in [updates] if isinstance(updates, dict) else updates:
        merged |= {names[id(component)]: value for component, value in update.items()}
    return merged


def begin(page: Page, script: str = SCRIPT, earlier: Annotation | None = None) -> Annotation:
    *_, update = page._analyse_text(script, VISITOR)
    analysis = update[page.components.script_results.analysis]
    opened: Annotation = named(page, view(page).open(analysis, earlier, 0, VISITOR))["state"]
    return opened


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def give(page: Page, annotation: Annotation, index: int, label: int, part: int = 0) -> dict[str, Any]:
    return named(page, view(page)._label(annotation, part, event(index=index, label=label), VISITOR))


def upload(name: str, raw: bytes) -> gr.EventData:
    return event(name=name, size=len(raw), content=base64.b64encode(raw).decode())


def export(page: Page, annotation: Annotation, kind: str) -> bytes:
    parcel = named(page, view(page)._export(kind, annotation, 0, VISITOR))["parcel"]
    return base64.b64decode(json.loads(parcel)["content"])


def test_a_label_is_given_shown_and_taken_back(page: Page, evidence: list[dict[int, str]]) -> None:
    annotation = begin(page)
    before = [row["label"] for _, row in annotation.turns()]
    labels = page.predictor.labels
    wanted = next(index for index, label in enumerate(labels) if label != before[1])
    shown = give(page, annotation, 1, wanted)
    rows = [row for _, row in annotation.turns()]
    assert rows[1]["source"] == "given" and rows[1]["score"] == 1.0
    assert all(row["label"] == labels[wanted] for row in rows[1:]), "what follows is predicted anew"
    assert evidence == [{1: labels[wanted]}]
    assert "1 of 6 confirmed" in shown["progress"] and "changed" in shown["status"]
    assert f"✓ given (predicted {before[1]}" in shown["turns"] and "changed, was" in shown["turns"]
    shown = give(page, annotation, 1, -1)
    assert not annotation.given and rows[1]["label"] == labels[0] and "source" not in rows[1]
    assert evidence[-1] == {}
    named(page, view(page)._undo(annotation, 0, VISITOR))
    assert annotation.given == {(0, 1): labels[wanted]}, "taking back can be undone too"


def test_undo_goes_back_step_by_step(page: Page, evidence: list[dict[int, str]]) -> None:
    annotation = begin(page)
    first = [dict(row) for _, row in annotation.turns()]
    give(page, annotation, 0, 1)
    give(page, annotation, 0, 2)
    give(page, annotation, 3, 1)
    for expected in ({(0, 0): 2}, {(0, 0): 1}, {}):
        named(page, view(page)._undo(annotation, 0, VISITOR))
        assert annotation.given == {turn: page.predictor.labels[label] for turn, label in expected.items()}
    assert "Nothing to undo" in named(page, view(page)._undo(annotation, 0, VISITOR))["status"]
    assert [row["text"] for _, row in annotation.turns()] == [row["text"] for row in first]


def test_a_model_without_evidence_says_so_and_keeps_the_labels(page: Page) -> None:
    notices = [
        block.value for block in page.blocks.blocks.values() if isinstance(block, gr.HTML) and block.value
    ]
    assert any("takes no known labels" in str(value) for value in notices)
    annotation = begin(page)
    others = [dict(row) for _, row in annotation.turns()][1:]
    give(page, annotation, 0, 1)
    assert [row for _, row in annotation.turns()][1:] == others
    rows = [json.loads(line) for line in export(page, annotation, "Export JSONL").splitlines()]
    assert rows[0]["emotion"] == page.predictor.labels[1]


def test_labels_that_come_faster_than_the_model_are_all_kept(
    page: Page, evidence: list[dict[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = begin(page)
    slow, wait, quick = threading.Event(), threading.Event(), Predictor.relabel

    def relabel(self: Predictor, *arguments: Any) -> list[dict[str, Any]]:
        if not wait.is_set():
            wait.set()
            slow.wait(5)
        return quick(self, *arguments)

    monkeypatch.setattr(Predictor, "relabel", relabel)
    earlier = view(page)._label(annotation, 0, event(index=0, label=1), VISITOR)
    next(earlier)
    next(earlier)  # its job has begun
    give(page, annotation, 1, 2)
    slow.set()
    list(earlier)
    assert annotation.given == {(0, 0): page.predictor.labels[1], (0, 1): page.predictor.labels[2]}
    assert evidence[-1] == {0: page.predictor.labels[1], 1: page.predictor.labels[2]} or evidence[-2] == {
        0: page.predictor.labels[1],
        1: page.predictor.labels[2],
    }
    assert all(row["label"] == page.predictor.labels[2] for _, row in list(annotation.turns())[1:])


def tiny(rows: int = 4, dialogues: int = 1) -> Annotation:
    found = [
        (
            f"d{dialogue}",
            [
                {
                    "speaker": "Ann",
                    "text": f"t{index}",
                    **given_row(LABELS[index % 3], LABELS),
                    "score": 0.9 - 0.1 * index,
                }
                for index in range(rows)
            ],
        )
        for dialogue in range(dialogues)
    ]
    return Annotation(Analysis(LABELS, found))


def test_the_least_certain_open_turn_comes_first() -> None:
    annotation = tiny()
    assert annotation.least_certain() == (0, 3) and "next: turn 4, 60%" in progress_line(annotation)
    annotation.least_certain_first = True
    annotation.give({(0, 3): "Mad"})
    assert annotation.next_after((0, 3)) == (0, 2) and "1 of 4 confirmed" in progress_line(annotation)
    annotation.give({(0, index): "Mad" for index in range(3)})
    assert annotation.least_certain() is None and annotation.next_after((0, 1)) == (0, 1)
    assert "all turns have a label" in progress_line(annotation)


def test_in_order_the_next_turn_may_be_in_another_dialogue(page: Page) -> None:
    annotation = begin(page, f"{SCRIPT}\n\nZed: no\nZed: hello")
    shown = give(page, annotation, 5, 0)
    assert shown["part"] == 1 and "data-jump" in shown["turns"] and "Zed" in shown["turns"]
    shown = give(page, annotation, 0, 0, part=1)
    assert shown["part"] == 1 and "data-jump" not in shown["turns"], "the browser has moved on itself"
    assert annotation.given == {(0, 5): page.predictor.labels[0], (1, 0): page.predictor.labels[0]}


def test_ten_thousand_labels() -> None:
    annotation = tiny(100, 100)
    for round_ in range(2):
        for turn, _ in list(annotation.turns()):
            annotation.give({turn: LABELS[round_]})
    assert len(annotation.given) == 10_000 and set(annotation.given.values()) == {"Mad"}
    steps = 0
    while annotation.undo() is not None:
        steps += 1
    assert steps == 1000 and sum(label == "Joy" for label in annotation.given.values()) == 1000


@pytest.mark.parametrize("kind", ["Export JSONL", "Export CSV", "Export Label Studio"])
def test_an_export_comes_back(page: Page, kind: str) -> None:
    annotation = begin(page)
    give(page, annotation, 1, 2)
    give(page, annotation, 4, 0)
    assert not annotation.is_exported
    raw = export(page, annotation, kind)
    assert annotation.is_exported
    name = {"Export JSONL": "x.jsonl", "Export CSV": "x.csv"}.get(kind, "x.json")
    [dialogue], _ = read_annotations(raw, name)
    [labels] = dialogue.labels.values()
    expected = [None, page.predictor.labels[2], None, None, page.predictor.labels[0], None]
    assert labels == expected and [(turn["speaker"], turn["text"]) for turn in dialogue.turns] == LINES
    again = begin(page)
    shown = named(page, view(page)._resume(again, 0, upload(name, raw), VISITOR))
    assert again.given == annotation.given and "2 of 6 confirmed" in shown["progress"]


def test_a_second_annotator_side_by_side(page: Page) -> None:
    annotation, labels = begin(page), page.predictor.labels
    give(page, annotation, 0, 0)
    give(page, annotation, 1, 1)
    give(page, annotation, 2, 1)
    theirs = [labels[0], labels[1].upper(), labels[0], labels[2], "", ""]
    lines = [f'0,{speaker},"{text}",{label}' for (speaker, text), label in zip(LINES, theirs, strict=True)]
    raw = "\n".join(["dialogue_id,speaker,text,emotion", *lines]).encode()
    shown = named(page, view(page)._compare(annotation, 0, upload("<b>ben.csv", raw)))
    assert (
        "agree on 2 of 3 turns (67%)" in shown["agreement"]
        and "only you 0, only &lt;b&gt;ben 1" in shown["agreement"]
    )
    assert "Cohen&#x27;s kappa 0.40" in shown["agreement"] or "Cohen's kappa 0.40" in shown["agreement"]
    assert shown["turns"].count("emo-differs") == 1 and "<b>ben" not in shown["turns"]
    give(page, annotation, 2, 0)
    assert "agree on 3 of 3" in named(page, view(page).show(annotation, 0))["agreement"]


@pytest.mark.parametrize(
    ("raw", "name", "reason"),
    [
        (
            b"dialogue_id,speaker,text,emotion\n0,Ann,other,Joy\n",
            "b.csv",
            "has 1 turns, and 6 in this script",
        ),
        (b"speaker,text\nAnn,great we won\n", "b.csv", "no column &#x27;emotion&#x27;"),
        (b"Ann: x", "b.exe", "its ending is not one of"),
        (b"[]", "b.json", "not an export of Label Studio"),
    ],
)
def test_a_wrong_file_of_labels_gets_a_reason(page: Page, raw: bytes, name: str, reason: str) -> None:
    annotation = begin(page)
    assert reason in named(page, view(page)._compare(annotation, 0, upload(name, raw)))["status"]
    assert reason in named(page, view(page)._resume(annotation, 0, upload(name, raw), VISITOR))["status"]
    assert not annotation.given and not annotation.other


def test_labels_that_the_model_lacks_are_refused(page: Page) -> None:
    lines = [f"0,{speaker},{text},Boredom" for speaker, text in LINES]
    raw = "\n".join(["dialogue_id,speaker,text,emotion", *lines]).encode()
    shown = named(page, view(page)._compare(begin(page), 0, upload("b.csv", raw)))
    assert "&#x27;Boredom&#x27;: not among the model&#x27;s labels" in shown["status"]


@pytest.mark.parametrize(
    "sent",
    [{}, {"index": 6, "label": 0}, {"index": -1, "label": 0}, {"index": "0", "label": 0}, {"index": 0}],
)
def test_an_event_about_no_turn_changes_nothing(page: Page, sent: dict[str, Any]) -> None:
    annotation = begin(page)
    shown = named(page, view(page)._label(annotation, 0, event(**sent), VISITOR))
    assert "alert" in shown["status"] and not annotation.given
    assert "alert" in named(page, view(page)._label(None, 0, event(index=0, label=0), VISITOR))["status"]
    assert (
        "There are"
        in named(page, view(page)._label(annotation, 0, event(index=0, label=99), VISITOR))["status"]
    )


def test_labels_go_over_to_the_same_dialogue(page: Page) -> None:
    annotation = begin(page)
    give(page, annotation, 1, 2)
    same = begin(page, f"{SCRIPT}\n\nZed: no", annotation)
    assert same is not annotation and same.given == annotation.given
    other = begin(page, "Zed: no", same)
    assert not other.given


def test_texts_and_labels_are_never_html() -> None:
    harm = "<script>harmed = 1</script>"
    rows = [{"speaker": harm, "text": harm, **given_row("Joy", ["Joy", harm]), "score": 0.4}]
    annotation = Annotation(Analysis(["Joy", harm], [(harm, rows)]))
    annotation.compare({(0, 0): harm}, harm)
    annotation.give({(0, 0): harm})
    html = annotation_list(annotation, annotation.analysis.parts()[0]) + progress_line(annotation)
    assert harm not in html and "&lt;script&gt;" in html
