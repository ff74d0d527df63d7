"""Show labelled turns in a section of their own: views, downloads and explanations."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ...inference.predict import Report
from ..predictor import Predictor
from .analysis import Analysis, Part
from .annotate import SECONDS_KEPT, Annotate, Shown
from .annotation import Annotation
from .downloads import DOWNLOADS, parcel
from .explanation import explanation
from .messages import RESULTS_GONE, alert, note
from .profiles import profiles
from .scripts import ASK_WHY, SAVE_PARCEL
from .timeline import MAX_ROWS, Rows, timeline
from .turn_list import legend, turn_list
from .visitors import Updates, Visitors, event_data

NO_QUESTION = (
    '<p class="emo-note">Choose a turn here, or press <b>Why?</b> beside one under <b>Turns</b>: '
    "the page shows which earlier turns its emotion rests on.</p>"
)


class Results:
    """The results of the script or of the chat, created within a `gr.Blocks`.

    `gr.DownloadButton` is not used: it needs files on the server and a route that serves
    them.

    Args:
        name: `script` or `chat`; begins the ids of the section's elements.
        predictor: The model.
        visitors: Runs the visitors' jobs.
        largest: The largest file of labels that can be uploaded, in bytes; 0 for results
            whose turns are not labelled by hand.

    Attributes:
        annotate: The view in which turns are labelled by hand, or None.
        status: The messages.
        cancel: The button that cancels the visitor's job.
        analysis, part: States of a visitor: the results, and the index of the part that
            is shown.
        parcel: A download on its way to the browser.
    """

    def __init__(self, name: str, predictor: Predictor, visitors: Visitors, largest: int = 0):
        self.name, self._predictor, self._visitors = name, predictor, visitors
        self.analysis = gr.State(None, time_to_live=SECONDS_KEPT)
        self.part = gr.State(0)
        self.parcel = gr.Textbox(visible=False, elem_id=f"{name}-parcel")
        self.status = gr.HTML(elem_id=f"{name}-status")
        self.cancel = gr.Button(
            "Cancel",
            variant="stop",
            size="sm",
            visible=False,
            elem_id=f"{name}-cancel",
            elem_classes="emo-cancel",
        )
        self.annotate: Annotate | None = None
        with gr.Column(visible=False, elem_id=f"{name}-results") as self.section:
            self._create_views(largest)
        self._connect()

    def _create_views(self, largest: int) -> None:
        name = self.name
        with gr.Row(elem_classes="emo-files"):
            self.downloads = [
                gr.Button(
                    kind,
                    size="sm",
                    min_width=80,
                    elem_id=f"{name}-{kind.split()[1].lower()}",
                    elem_classes="emo-file",
                )
                for kind in DOWNLOADS
            ]
        self.choice = gr.Dropdown(label="Show", visible=False, elem_id=f"{name}-part")
        with gr.Tabs() as self.views:
            with gr.Tab("Turns", id="turns") as self.turns_tab:
                gr.HTML(legend(Analysis(self._predictor.labels).looks))
                self.timeline = gr.HTML(elem_id=f"{name}-timeline")
                self.turns = gr.HTML(elem_id=f"{name}-turns", js_on_load=ASK_WHY)
            with gr.Tab("Speakers", id="speakers") as self.speakers_tab:
                self.profiles = gr.HTML(elem_id=f"{name}-profiles")
            with gr.Tab("Why?", id="why"):
                self.asked = gr.Dropdown(
                    label="Why does this turn have its emotion?", elem_id=f"{name}-asked"
                )
                self.explanation = gr.HTML(elem_id=f"{name}-explanation")
            if largest:
                with gr.Tab("Annotate", id="annotate", elem_id="annotate-tab") as annotate_tab:
                    shown = Shown(self.analysis, self.part, self.cancel, self.choice, self.parcel)
                    self.annotate = Annotate(self._predictor, self._visitors, shown, largest, annotate_tab)

    def _connect(self) -> None:
        options: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        part = [self.part, self.timeline, self.turns, self.asked, self.explanation]
        explained = [self.cancel, self.views, self.asked, self.explanation]
        self.cancel.click(self._visitors.cancel, None, None, **options)
        for button in self.downloads:
            packed = button.click(
                self._download, [button, self.analysis], [self.status, self.cancel, self.parcel], **options
            )
            packed.then(None, self.parcel, self.parcel, js=SAVE_PARCEL)
        chosen, refreshed = [self.analysis, self.choice], [self.analysis, self.part]
        if self.annotate is not None:
            chosen, part = [*chosen, self.annotate.state], [*part, *self.annotate.outputs[:-2]]
            refreshed.append(self.annotate.state)
            views = [self.timeline, self.turns, self.profiles]
            for tab in (self.turns_tab, self.speakers_tab):  # which a label may have changed
                tab.select(self._refresh, refreshed, views, **options)
        self.choice.input(self._choose, chosen, [self.status, *part], **options)
        self.turns.select(self._ask, [self.analysis, self.part], explained, **options)
        self.asked.input(self._explain, [self.analysis, self.part, self.asked], explained, **options)

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates, and `status`."""
        return [
            *(self.status, self.cancel, self.section, self.analysis, self.choice, self.views, self.profiles),
            *(self.part, self.timeline, self.turns, self.asked, self.explanation),
        ]

    def show(self, analysis: Analysis, index: int) -> Updates:
        """Show results, with the part at `index`."""
        parts = analysis.parts()
        choices = [(part.title(len(analysis.dialogues)), choice) for choice, part in enumerate(parts)]
        return {
            **self._show_part(analysis, index),
            self.cancel: gr.Button(visible=False),
            self.analysis: analysis,
            self.section: gr.Column(visible=True),
            self.choice: gr.Dropdown(choices, value=index, visible=len(parts) > 1),
            self.views: gr.Tabs(selected="turns"),
            self.profiles: profiles(analysis, self._predictor.processor),
        }

    def _show_part(self, analysis: Analysis, index: int) -> Updates:
        part = analysis.parts()[index]
        return {
            self.part: index,
            self.timeline: timeline(analysis, part),
            self.turns: turn_list(analysis, part),
            self.asked: _questions(part),
            self.explanation: NO_QUESTION,
        }

    def _choose(self, analysis: Analysis | None, index: Any, annotation: Annotation | None = None) -> Updates:
        if analysis is None or analysis.part(index) is None:
            return {self.status: alert(RESULTS_GONE)}
        shown = self._show_part(analysis, index)
        if self.annotate is not None and annotation is not None and annotation.analysis is analysis:
            shown |= self.annotate.show(annotation, index)
        return shown

    def _refresh(self, analysis: Analysis | None, index: int, annotation: Annotation | None) -> Updates | Any:
        """Show the turns again after labels were given."""
        part = analysis.part(index) if analysis is not None else None
        if analysis is None or part is None or annotation is None or not annotation.version:
            return gr.skip()
        return {
            self.timeline: timeline(analysis, part),
            self.turns: turn_list(analysis, part),
            self.profiles: profiles(analysis, self._predictor.processor),
        }

    def _download(self, kind: str, analysis: Analysis | None, request: gr.Request) -> Iterator[Updates]:
        """Send a file to the browser, which saves it."""
        if analysis is None or kind not in DOWNLOADS:
            yield {self.status: alert(RESULTS_GONE)}
            return

        def work(report: Report) -> str:
            return parcel(kind, analysis, self._predictor.name)

        packed = yield from self._visitors.run(request, work, "Writing the file", self.status, self.cancel)
        if packed is not None:
            message = f"{DOWNLOADS[kind][0]} goes to your browser's downloads."
            if kind == "Download PNG timeline" and len(analysis.speakers()) > MAX_ROWS:
                message += " " + Rows.of(analysis.turns).note
            yield {self.status: note(message), self.cancel: gr.Button(visible=False), self.parcel: packed}

    def _ask(
        self, analysis: Analysis | None, part_index: int, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        """Explain the turn whose button was pressed."""
        index = event_data(event).get("index")
        yield {
            self.views: gr.Tabs(selected="why"),
            self.asked: gr.update(value=index),
            self.explanation: "",
        }
        yield from self._explain(analysis, part_index, index, request)

    def _explain(
        self, analysis: Analysis | None, part_index: int, index: Any, request: gr.Request
    ) -> Iterator[Updates]:
        """Explain a turn; it takes some forty passes of the model."""
        part = analysis.part(part_index) if analysis is not None else None
        if analysis is None or part is None or index not in part.indices:
            yield {self.explanation: alert(RESULTS_GONE)}
            return
        dialogue = part.dialogue

        def work(report: Report) -> str:
            attribution = self._predictor.explain(analysis.until(dialogue), index, report)
            return explanation(analysis, dialogue, attribution)

        found = yield from self._visitors.run(
            request, work, "Leaving out turns", self.explanation, self.cancel
        )
        if found is not None:
            yield {self.explanation: found, self.cancel: gr.Button(visible=False)}


def _questions(part: Part) -> gr.Dropdown:
    choices = []
    for index, turn in enumerate(part.turns, start=part.first):
        text = turn["text"] if len(turn["text"]) < 60 else turn["text"][:58] + "…"
        choices.append((f"{index + 1}. {turn['speaker']}: {text} ({turn['label']})", index))
    return gr.Dropdown(choices, value=None)
