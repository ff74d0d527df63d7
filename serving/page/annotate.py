"""Label the turns of a script by hand: the view, its events, and its files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import gradio as gr

from ...annotation.files import (
    READABLE,
    csv_text,
    jsonl_text,
    label_studio_text,
    read_annotations,
    training_rows,
)
from ...annotation.label_studio import labelling_config
from ...errors import EmoNetError
from ...inference.predict import Report
from ..predictor import Predictor
from .analysis import Analysis
from .annotation import Annotation
from .annotation_list import HELP, NO_EVIDENCE, agreement_line, annotation_list, progress_line
from .downloads import packed
from .messages import RESULTS_GONE, alert, note
from .scripts import ANNOTATE, READ_FILE, SAVE_PARCEL
from .upload import read_upload
from .visitors import Updates, Visitors, event_data

SECONDS_KEPT = 3600  # after the last use
NOTHING = "No label yet: give a turn one first."
_JSONL, _CSV = "application/jsonl;charset=utf-8", "text/csv;charset=utf-8"

EXPORTS: dict[str, tuple[str, str, Callable[[Annotation, str], str]]] = {
    "Export JSONL": (
        "labels.jsonl",
        _JSONL,
        lambda annotation, _: jsonl_text(training_rows(annotation.dialogues())),
    ),
    "Export CSV": ("labels.csv", _CSV, lambda annotation, _: csv_text(training_rows(annotation.dialogues()))),
    "Export Label Studio": (
        "labels.label-studio.json",
        "application/json",
        lambda annotation, model: label_studio_text(annotation.dialogues(), model),
    ),
    "Label Studio interface": (
        "labels.label-studio.xml",
        "application/xml",
        lambda annotation, _: labelling_config(annotation.analysis.labels),
    ),
}
"""By the text of a button: the file's name, media type, and the function to make it."""


@dataclass
class Shown:
    """Components that the view shares with the section that it is part of.

    Attributes:
        analysis, part: States of a visitor: the results, and the index of the part shown.
        cancel: The button that cancels the visitor's job.
        choice: The list of parts.
        parcel: A download on its way to the browser.
    """

    analysis: gr.State
    part: gr.State
    cancel: gr.Button
    choice: gr.Dropdown
    parcel: gr.Textbox


class Annotate:
    """The view in which a visitor labels turns, created within a `gr.Blocks`.

    Args:
        predictor: The model.
        visitors: Runs the visitors' jobs.
        shown: The components of the section.
        largest: The largest file that can be uploaded, in bytes.
        tab: The tab that opens the view.

    Attributes:
        state: State of a visitor: the `Annotation`.
        turns: The list of turns.
    """

    def __init__(self, predictor: Predictor, visitors: Visitors, shown: Shown, largest: int, tab: gr.Tab):
        self._predictor, self._visitors, self._shown, self._largest = predictor, visitors, shown, largest
        self.state = gr.State(None, time_to_live=SECONDS_KEPT)
        keys = HELP.format(last=min(9, len(predictor.labels)))
        more = "" if predictor.takes_known_labels else f"<br><b>{NO_EVIDENCE}</b>"
        gr.HTML(f'<p class="emo-note emo-keys">Click a turn and its label, or use the keys: {keys}{more}</p>')
        with gr.Row():
            self.progress = gr.HTML(elem_id="annotate-progress")
            self.least_first = gr.Checkbox(
                label="After a label, go to the least certain turn", elem_id="annotate-order", min_width=260
            )
            if predictor.takes_known_labels:
                self.later = gr.Checkbox(
                    label="A label also tells about earlier turns", elem_id="annotate-later", min_width=260
                )
        with gr.Row(elem_classes="emo-files"):
            self.undo = self._button("Undo", "annotate-undo")
            self.least = self._button("Least certain turn", "annotate-least")
            self.exports = [self._button(kind, f"annotate-{kind.split()[-1].lower()}") for kind in EXPORTS]
        self.status = gr.HTML(elem_id="annotate-status")
        self.agreement = gr.HTML(elem_id="annotate-agreement")
        self.turns = gr.HTML(elem_id="annotate-turns", js_on_load=ANNOTATE)
        with gr.Row(elem_classes="emo-files"):
            self.resume = self._upload("Go on with labels from a file", "annotate-resume")
            self.second = self._upload("Compare with a second annotator's file", "annotate-second")
        self._connect(tab)

    @staticmethod
    def _button(text: str, element: str) -> gr.Button:
        return gr.Button(text, size="sm", min_width=80, elem_id=element, elem_classes="emo-file")

    def _upload(self, text: str, element: str) -> gr.HTML:
        return gr.HTML(
            f'<label class="emo-upload">{text}<input type="file" accept="{",".join(READABLE)}" '
            f'data-largest="{self._largest}"></label>',
            js_on_load=READ_FILE,
            elem_id=element,
            min_width=200,
        )

    def _connect(self, tab: gr.Tab) -> None:
        # Labels come faster than the model answers: none of them may be dropped.
        options: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "trigger_mode": "multiple",
        }
        known, outputs = [self.state, self._shown.part], [*self.outputs, self._shown.cancel]
        tab.select(self.open, [self._shown.analysis, *known], outputs, **options)
        self.turns.select(self._label, known, outputs, **options)
        self.undo.click(self._undo, known, outputs, **options)
        self.least.click(self._go_to_least_certain, known, outputs, **options)
        self.least_first.input(self._order, [*known, self.least_first], outputs, **options)
        if self._predictor.takes_known_labels:
            self.later.input(self._use_later, [*known, self.later], outputs, **options)
        for upload, handle in ((self.resume, self._resume), (self.second, self._compare)):
            upload.upload(handle, known, outputs, **options)
        for button in self.exports:
            packing = button.click(self._export, [button, *known], [*outputs, self._shown.parcel], **options)
            packing.then(None, self._shown.parcel, self._shown.parcel, js=SAVE_PARCEL)

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates, and the list of parts."""
        return [
            *(self.state, self.status, self.progress, self.agreement, self.turns),
            *(self._shown.part, self._shown.choice),
        ]

    def open(
        self, analysis: Analysis | None, annotation: Annotation | None, index: int, request: gr.Request
    ) -> Iterator[Updates]:
        """Show a script to be labelled; labels go over to dialogues that are the same."""
        if analysis is None or analysis.part(index) is None:
            yield {self.status: alert(RESULTS_GONE)}
            return
        if annotation is not None and annotation.analysis is analysis:
            yield self.show(annotation, index)
            return
        new = Annotation(analysis) if annotation is None else annotation.carried_over(analysis)
        lost = len(annotation.given) - len(new.given) if annotation is not None else 0
        facts = [f"Your {len(new.given)} labels of the same dialogues are kept."] if new.given else []
        facts += [f"The {lost} labels of other dialogues are gone."] if lost else []
        yield {self.state: new, **self.show(new, index), self.status: note(" ".join(facts)) if facts else ""}
        dialogues = {dialogue for dialogue, _ in new.given}
        if dialogues:
            yield from self._update(new, dialogues, index, True, request, " ".join(facts).rstrip("."))

    def show(self, annotation: Annotation, index: int, jump: bool = True) -> Updates:
        """Show the part at `index`."""
        return {
            self.progress: progress_line(annotation),
            self.agreement: agreement_line(annotation.agreement()),
            self.turns: annotation_list(annotation, annotation.analysis.parts()[index], jump),
        }

    def _label(
        self, annotation: Annotation | None, index: int, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        """Give a turn of the part its label, or take it back with -1."""
        sent, labels = event_data(event), self._predictor.labels
        part = annotation.analysis.part(index) if annotation is not None else None
        turn_index, label = sent.get("index"), sent.get("label")
        valid = type(turn_index) is int and type(label) is int
        if annotation is None or part is None or not valid or turn_index not in part.indices:
            yield {self.status: alert(RESULTS_GONE)}
            return
        assert isinstance(turn_index, int) and isinstance(label, int)
        if label >= len(labels):
            yield {self.status: alert(f"There are {len(labels)} labels.")}
            return
        turn = (part.dialogue, turn_index)
        changed = annotation.give({turn: labels[label] if label >= 0 else None})
        jump = annotation.least_certain_first
        if label >= 0 and (jump or turn_index == part.indices[-1]):
            following = annotation.next_after(turn)
            jump = following != turn
            annotation.current = following
        else:
            annotation.current, jump = turn, False
        what = f"Turn {turn_index + 1}: {labels[label] if label >= 0 else 'no label'}"
        yield from self._update(annotation, changed, index, jump, request, what)

    def _update(
        self,
        annotation: Annotation,
        dialogues: set[int],
        index: int,
        jump: bool,
        request: gr.Request,
        what: str,
    ) -> Iterator[Updates]:
        """Show the labels at once, then predict what follows in their light."""
        yield {**self._show_current(annotation, index, jump), self.status: note(f"{what}.")}
        if not dialogues or not self._predictor.takes_known_labels:
            return
        version = annotation.version

        def work(report: Report) -> list[tuple[int, list[dict[str, Any]]]]:
            return [
                (dialogue, self._relabelled(annotation, dialogue, report)) for dialogue in sorted(dialogues)
            ]

        found = yield from self._visitors.run(
            request, work, "Predicting what follows", self.status, self._shown.cancel
        )
        if found is None or version != annotation.version:
            return  # a newer label has a job of its own
        annotation.changed.clear()
        changed = [turn for dialogue, rows in found for turn in annotation.update(dialogue, rows)]
        numbers = ", ".join(str(turn_index + 1) for _, turn_index in changed[:12])
        message = f"{what}. {len(changed)} prediction{'s' * (len(changed) != 1)} changed"
        jump = jump or annotation.least_certain_first
        if annotation.least_certain_first:
            annotation.current = annotation.least_certain() or annotation.current
        yield {
            **self._show_current(annotation, index, jump),
            self.status: note(f"{message}: turn {numbers}." if changed else f"{message}."),
            self._shown.cancel: gr.Button(visible=False),
        }

    def _relabelled(self, annotation: Annotation, dialogue: int, report: Report) -> list[dict[str, Any]]:
        """Label a dialogue in the light of its given labels; encode it the first time."""
        if annotation.kept is None or annotation.kept[0] != dialogue:
            annotation.kept = dialogue, self._predictor.keep(annotation.analysis.until(dialogue), report)
        given = annotation.given_in(dialogue)
        return self._predictor.relabel(annotation.kept[1], given, annotation.uses_later_labels)

    def _show_current(self, annotation: Annotation, index: int, jump: bool) -> Updates:
        """Show part `index`, or where the view jumps the part with the current turn."""
        if jump:
            index = annotation.part_index(annotation.current)
        return {
            **self.show(annotation, index, jump),
            self._shown.part: index,
            self._shown.choice: gr.update(value=index),
        }

    def _undo(self, annotation: Annotation | None, index: int, request: gr.Request) -> Iterator[Updates]:
        turn = annotation.undo() if annotation is not None else None
        if annotation is None or turn is None:
            yield {self.status: note("Nothing to undo.") if annotation is not None else alert(RESULTS_GONE)}
            return
        annotation.current = turn
        yield from self._update(annotation, {turn[0]}, index, True, request, f"Undone: turn {turn[1] + 1}")

    def _go_to_least_certain(self, annotation: Annotation | None, index: int) -> Updates:
        if annotation is None:
            return {self.status: alert(RESULTS_GONE)}
        least = annotation.least_certain()
        if least is None:
            return {self.status: note("All turns have a label.")}
        annotation.current = least
        return {**self._show_current(annotation, index, True), self.status: ""}

    def _order(self, annotation: Annotation | None, index: int, least_first: Any) -> Updates:
        if annotation is None:
            return {self.status: alert(RESULTS_GONE)}
        annotation.least_certain_first = bool(least_first)
        if least_first:
            annotation.current = annotation.least_certain() or annotation.current
        return self._show_current(annotation, index, bool(least_first))

    def _use_later(
        self, annotation: Annotation | None, index: int, is_later: Any, request: gr.Request
    ) -> Iterator[Updates]:
        """Let labels tell about earlier turns too, or no more."""
        if annotation is None:
            yield {self.status: alert(RESULTS_GONE)}
            return
        annotation.uses_later_labels = bool(is_later)
        annotation.version += 1  # ends the job of another choice
        what = "A label tells about all turns" if is_later else "A label tells about later turns"
        dialogues = {dialogue for dialogue, _ in annotation.given}
        yield from self._update(annotation, dialogues, index, False, request, what)

    def _resume(
        self, annotation: Annotation | None, index: int, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        """Take the labels of a file as the visitor's own; labels given here stay."""
        if annotation is None:
            yield {self.status: alert(RESULTS_GONE)}
            return
        try:
            labels, name = self._read(annotation, event)
        except EmoNetError as error:
            yield {self.status: alert(str(error))}
            return
        new = {turn: label for turn, label in labels.items() if turn not in annotation.given}
        different = sum(annotation.given.get(turn, label) != label for turn, label in labels.items())
        kept = f"; {different} turns keep the other label that you gave here" if different else ""
        changed = annotation.give(new)
        what = f"{name}: {len(new)} labels taken{kept}"
        yield from self._update(annotation, changed, index, False, request, what)

    def _compare(self, annotation: Annotation | None, index: int, event: gr.EventData) -> Updates:
        """Show a second annotator's labels beside the visitor's own."""
        if annotation is None:
            return {self.status: alert(RESULTS_GONE)}
        try:
            labels, name = self._read(annotation, event)
        except EmoNetError as error:
            return {self.status: alert(str(error))}
        annotation.compare(labels, PurePosixPath(name).name.partition(".")[0])
        return {
            **self.show(annotation, index, False),
            self.status: note(f"{name}: {len(labels)} labels beside yours."),
        }

    def _read(self, annotation: Annotation, event: gr.EventData) -> tuple[dict[tuple[int, int], str], str]:
        """Read an uploaded file of labels for this script."""
        sent = event_data(event)
        name, raw = read_upload(
            sent.get("name"), sent.get("size"), sent.get("content"), self._largest, READABLE
        )
        dialogues, _ = read_annotations(raw, name)
        return annotation.matched(dialogues, name), name

    def _export(
        self, kind: str, annotation: Annotation | None, index: int, request: gr.Request
    ) -> Iterator[Updates]:
        """Send a file to the browser, which saves it."""
        if annotation is None or kind not in EXPORTS:
            yield {self.status: alert(RESULTS_GONE)}
            return
        name, media_type, make = EXPORTS[kind]
        if not annotation.given and kind in ("Export JSONL", "Export CSV"):
            yield {self.status: alert(NOTHING)}
            return
        version = annotation.version

        def work(report: Report) -> str:
            return packed(name, media_type, make(annotation, self._predictor.name).encode())

        parcel = yield from self._visitors.run(
            request, work, "Writing the file", self.status, self._shown.cancel
        )
        if parcel is not None:
            annotation.is_exported = annotation.is_exported or (
                version == annotation.version and kind != "Label Studio interface"
            )
            labelled = f"{len(annotation.given)} of {annotation.total} turns have your label. "
            yield {
                **self.show(annotation, index, False),
                self.status: note(f"{labelled}{name} goes to your browser's downloads."),
                self._shown.cancel: gr.Button(visible=False),
                self._shown.parcel: parcel,
            }
