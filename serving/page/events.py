"""Handle the page's events: label a script, chat, explain, download, cancel."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from ...dialogue.reader import read_bytes
from ...dialogue.reading import Reading
from ...errors import DataFormatError, EmoNetError
from ...inference.predict import Report
from ..limits import Limits
from ..predictor import Predictor, Session
from .analysis import Analysis, Part
from .downloads import DOWNLOADS, parcel
from .explanation import explanation
from .job import Job
from .layout import Layout
from .messages import RESULTS_GONE, alert, counts, note, progress, reading_note
from .profiles import profiles
from .scripts import FOCUS_CHAT, SAVE_PARCEL
from .timeline import MAX_ROWS, Rows, timeline
from .turn_list import turn_list
from .upload import largest_upload, read_upload

logger = logging.getLogger("emonet.serving")

MAX_JOBS = 32  # of all visitors at a time
MAX_VISITORS = 256  # whose results are kept

Answer = TypeVar("Answer")
Updates = dict[Block, Any]


class Page:
    """The page and its visitors' jobs.

    Everything expensive is a job of its visitor, with progress, a deadline and a button
    that cancels it; a new job replaces the visitor's previous one. Gradio's own means do
    less: `cancels=` ends the function that waits but not the thread that computes, and
    `gr.Progress` covers the results and is not read out.

    Args:
        predictor: The model.
        limits: What a visitor may cost.
        open_to_all: Whether visitors are told that anyone may use the page.

    Attributes:
        blocks: The Gradio application.
        components: Its components.
    """

    def __init__(self, predictor: Predictor, limits: Limits, open_to_all: bool = False):
        self.predictor, self.limits = predictor, limits
        self._jobs: dict[str, Job[Any]] = {}
        title = "emonet: emotions in conversation"
        with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as self.blocks:
            self.components = Layout(
                predictor.name, predictor.labels, largest_upload(limits.body), open_to_all
            )
            self._connect()
        # The page counts jobs and refuses one too many at once; in Gradio's queue it
        # would wait without a message.
        self.blocks.queue(max_size=256, default_concurrency_limit=None)
        self.blocks.state_session_capacity = MAX_VISITORS

    def _connect(self) -> None:
        """Connect components with the methods that handle their events."""
        page = self.components
        part = [page.part, page.timeline, page.turns, page.asked]
        results = [
            *(page.status, page.cancel, page.results, page.analysis, page.session, page.choice),
            *(page.views, page.profiles, page.explanation, *part),
        ]
        explained = [page.cancel, page.views, page.asked, page.explanation]
        options: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        page.analyse.click(self._analyse_text, page.script, results, **options)
        page.upload.upload(self._analyse_file, None, results, **options)
        page.cancel.click(self._cancel, None, None, **options)
        chat = [page.speaker, page.text, page.session, page.analysis]
        for event in (page.say.click, page.text.submit):
            event(self._say, chat, [*results, page.text], **options).then(None, js=FOCUS_CHAT)
        ended_chat = [page.session, page.results, page.status]
        page.new_chat.click(lambda: (None, gr.Column(visible=False), ""), None, ended_chat, **options)
        for button in page.downloads:
            packed = button.click(
                self._download, [button, page.analysis], [page.status, page.cancel, page.parcel], **options
            )
            packed.then(None, page.parcel, page.parcel, js=SAVE_PARCEL)
        page.choice.input(self._choose, [page.analysis, page.choice], [page.status, *part], **options)
        page.turns.select(self._ask, [page.analysis, page.part], explained, **options)
        page.asked.input(self._explain, [page.analysis, page.part, page.asked], explained, **options)
        self.blocks.unload(self._cancel)

    def _run(
        self, request: gr.Request, work: Callable[[Report], Answer], action: str, output: Block
    ) -> Generator[Updates, None, Answer | None]:
        """Run work as the visitor's job.

        Args:
            request: Names the visitor.
            work: What to run.
            action: Names what it does with turns.
            output: Where progress, and the reason for a failure, are shown.

        Returns:
            The answer; None if there is none.
        """
        key = str(request.session_hash)
        if earlier := self._jobs.pop(key, None):
            earlier.stop()
        if len(self._jobs) >= MAX_JOBS:
            reason = f"{MAX_JOBS} visitors have something under way, which is the limit."
            yield {output: alert(f"{reason} Try again in a moment.")}
            return None
        self._jobs[key] = job = Job(work, self.limits.page_seconds)
        try:
            while not job.done(wait=0.3):
                yield {output: progress(job, action), self.components.cancel: gr.Button(visible=True)}
        finally:  # also if the visitor has closed the page
            cancelled, replaced = job.stopped, self._jobs.get(key) not in (job, None)
            job.stop()
            if self._jobs.get(key) is job:
                del self._jobs[key]
        if replaced:
            return None
        if message := self._failure(job, cancelled):
            yield {output: message, self.components.cancel: gr.Button(visible=False)}
            return None
        return job.answer

    def _failure(self, job: Job[Any], cancelled: bool) -> str:
        """Return why a job has no answer; nothing if it has one."""
        if job.overdue:
            limit = f"{self.limits.page_seconds:g} seconds, which is the limit"
            return alert(f"Not done within {limit}; cut the script into parts.")
        if cancelled:
            return note("Cancelled.")
        if isinstance(job.error, (DataFormatError, EmoNetError)):
            return alert(str(job.error))
        if job.error is not None:
            logger.error("A job of the page failed", exc_info=job.error)
            return alert("The server failed at this; its log says why.")
        return ""

    def _cancel(self, request: gr.Request) -> None:
        if job := self._jobs.get(str(request.session_hash)):
            job.stop()

    def _analyse_text(self, script: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._analyse(script.encode("utf-8", "replace"), "The script", request)

    def _analyse_file(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        sent = _event_data(event)
        try:
            name, raw = read_upload(
                sent.get("name"), sent.get("size"), sent.get("content"), largest_upload(self.limits.body)
            )
        except EmoNetError as error:
            yield {self.components.status: alert(str(error))}
            return
        yield from self._analyse(raw, name, request)

    def _analyse(self, raw: bytes, name: str, request: gr.Request) -> Iterator[Updates]:
        """Label the turns of a script."""

        def work(report: Report) -> tuple[Analysis, Reading]:
            reading = read_bytes(raw, name)
            dialogues = [(found.dialogue_id, found.turns) for found in reading.conversations]
            if sum(len(turns) for _, turns in dialogues) > self.limits.turns:
                raise EmoNetError(
                    f"{name}: over {self.limits.turns} turns, which is the limit; cut it into parts."
                )
            rows = self.predictor.predict([turns for _, turns in dialogues], report=report)
            labelled = [(key, turns) for (key, _), turns in zip(dialogues, rows, strict=True)]
            return Analysis(self.predictor.labels, labelled), reading

        answer = yield from self._run(request, work, "Naming emotions", self.components.status)
        if answer is not None:
            analysis, reading = answer
            yield {
                **self._show(analysis, 0),
                self.components.status: reading_note(reading),
                self.components.session: None,
            }

    def _say(
        self, speaker: str, text: str, session: Session | None, analysis: Analysis | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Add a turn to the chat; the first one begins a new dialogue."""
        page = self.components
        speaker = speaker.strip()[:200]
        if not speaker:
            yield {page.status: alert("Who speaks? Give a name.")}  # the text stays in its box
            return
        if session is None or analysis is None:
            try:
                session = self.predictor.session()
            except EmoNetError as error:
                yield {page.status: alert(f"{error} Paste the whole script instead.")}
                return
            analysis = Analysis(self.predictor.labels, [("chat", [])])
        turns = analysis.dialogues[0][1]
        if len(turns) >= self.limits.turns:
            yield {page.status: alert(f"{len(turns)} turns, which is the limit. Begin a new chat.")}
            return

        def work(report: Report) -> dict[str, Any]:
            # A pass that has begun is not stopped. The session then holds its turn, so
            # the page shows it too, together with the next one.
            turns.append(self.predictor.add(session, speaker, text[:20_000], report))
            return turns[-1]

        turn = yield from self._run(request, work, "Naming the emotion", page.status)
        if turn is not None:
            message = f"{speaker}: {turn['label']} {turn['score']:.0%}. {counts(analysis)}"
            yield {
                **self._show(analysis, len(analysis.parts()) - 1),
                page.status: note(message),
                page.session: session,
                page.text: "",
            }

    def _show(self, analysis: Analysis, index: int) -> Updates:
        """Show results, with the part at `index`."""
        page, parts = self.components, analysis.parts()
        choices = [(part.title(len(analysis.dialogues)), choice) for choice, part in enumerate(parts)]
        return {
            **self._show_part(analysis, index),
            page.cancel: gr.Button(visible=False),
            page.analysis: analysis,
            page.results: gr.Column(visible=True),
            page.choice: gr.Dropdown(choices, value=index, visible=len(parts) > 1),
            page.views: gr.Tabs(selected="turns"),
            page.profiles: profiles(analysis, self.predictor.processor),
            page.explanation: "",
        }

    def _show_part(self, analysis: Analysis, index: int) -> Updates:
        page, part = self.components, analysis.parts()[index]
        return {
            page.part: index,
            page.timeline: timeline(analysis, part),
            page.turns: turn_list(analysis, part),
            page.asked: _questions(part),
        }

    def _choose(self, analysis: Analysis | None, index: Any) -> Updates:
        if analysis is None or _part(analysis, index) is None:
            return {self.components.status: alert(RESULTS_GONE)}
        return self._show_part(analysis, index)

    def _download(self, kind: str, analysis: Analysis | None, request: gr.Request) -> Iterator[Updates]:
        """Send a file to the browser, which saves it."""
        page = self.components
        if analysis is None or kind not in DOWNLOADS:
            yield {page.status: alert(RESULTS_GONE)}
            return

        def work(report: Report) -> str:
            return parcel(kind, analysis, self.predictor.name)

        packed = yield from self._run(request, work, "Writing the file", page.status)
        if packed is not None:
            message = f"{DOWNLOADS[kind][0]} goes to your browser's downloads."
            if kind == "Download PNG timeline" and len(analysis.speakers()) > MAX_ROWS:
                message += " " + Rows.of(analysis.turns).note
            yield {page.status: note(message), page.cancel: gr.Button(visible=False), page.parcel: packed}

    def _ask(
        self, analysis: Analysis | None, part_index: int, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        """Explain the turn whose button was pressed."""
        page, index = self.components, _event_data(event).get("index")
        yield {
            page.views: gr.Tabs(selected="why"),
            page.asked: gr.update(value=index),
            page.explanation: "",
        }
        yield from self._explain(analysis, part_index, index, request)

    def _explain(
        self, analysis: Analysis | None, part_index: int, index: Any, request: gr.Request
    ) -> Iterator[Updates]:
        """Explain a turn; it takes some forty passes of the model."""
        page, part = self.components, _part(analysis, part_index)
        turns = range(part.first, part.first + len(part.turns)) if part is not None else ()
        if analysis is None or part is None or index not in turns:
            yield {page.explanation: alert(RESULTS_GONE)}
            return
        dialogue = part.dialogue

        def work(report: Report) -> str:
            attribution = self.predictor.explain(analysis.until(dialogue), index, report)
            return explanation(analysis, dialogue, attribution)

        found = yield from self._run(request, work, "Leaving out turns", page.explanation)
        if found is not None:
            yield {page.explanation: found, page.cancel: gr.Button(visible=False)}


def _event_data(event: gr.EventData) -> Mapping[str, Any]:
    """Return what a script of the page sent with an event."""
    return event._data or {}


def _part(analysis: Analysis | None, index: Any) -> Part | None:
    """Return the part that is shown; None if it is gone, or never was."""
    parts = analysis.parts() if analysis is not None else []
    return parts[index] if type(index) is int and index in range(len(parts)) else None


def _questions(part: Part) -> gr.Dropdown:
    choices = []
    for index, turn in enumerate(part.turns, start=part.first):
        text = turn["text"] if len(turn["text"]) < 60 else turn["text"][:58] + "…"
        choices.append((f"{index + 1}. {turn['speaker']}: {text} ({turn['label']})", index))
    return gr.Dropdown(choices, value=None)
