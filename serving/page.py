"""The demo page (Gradio): paste or upload a script, or chat; see, explain and take home
the emotions.
"""

import logging
from collections.abc import Callable, Generator, Iterator
from html import escape
from importlib.resources import files
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from ..dialogue.subtitles import UNKNOWN
from ..dialogue.transcripts import parse_script
from ..errors import DataFormatError, EmoNetError
from ..inference.predict import Report
from .access import Access
from .analysis import Analysis, Part
from .downloads import DOWNLOADS, parcel
from .explanation import explanation
from .gradio_guard import GradioGuard
from .job import Job
from .limits import Limits
from .page_scripts import ASK_WHY, FOCUS_CHAT, READ_FILE, SAVE_PARCEL
from .predictor import Predictor, Session
from .profiles import profiles
from .timeline import MOST_ROWS, Rows, timeline
from .turn_list import legend, turn_list
from .upload import ENDINGS, largest_upload, read_upload

logger = logging.getLogger("emonet.serving")

EXAMPLE = """Ines: You missed supper, so I brought it up to you. Eat while it's warm, my dear.
Theo: Never mind soup, come and look! It's a street! People in hats, real ones, waving at us!
Ines: That's the bakery corner. How good of her, to keep it safe for us all this time.
Juno: Why would she hide it? It's just people going to the pictures.
Theo: Perhaps somebody asked her to.
Juno: Wait. Go back. Go back to the lady in row K.
Theo: Oh no. Don't call down the stairs yet. He isn't well. I don't know what this will do to him.
Juno: Is that who I think it is? My stomach's gone all funny."""

# How many visitors' jobs run at a time, and of how many visitors the results are kept.
JOBS, VISITORS = 32, 256
_GONE = "These results are not there any more; name the emotions again."
_OPEN = "Anyone who reaches this page may use it."

Updates = dict[Any, Any]


def mount_page(app: FastAPI, predictor: Predictor, limits: Limits, access: Access | None = None) -> FastAPI:
    """Put the page under `/` of an application, behind its guard."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    blocks = Page(predictor, limits, open_to_all=access is not None and access.open).blocks
    app = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme,
        css=files(__package__).joinpath("page.css").read_text("utf-8"),
        footer_links=[],
        run_history=False,
        max_file_size=limits.body,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
    )
    mount = app.routes[-1]
    assert isinstance(mount, Mount), "Gradio mounts its application last"
    mount.app = GradioGuard(mount.app, blocks, limits)
    return app


class Page:
    """The page and what its visitors have under way.

    All that costs something is a job of its visitor, with progress, a deadline and a
    button that cancels it; a new one ends the one before. Gradio's own means do less:
    `cancels=` ends the function that waits and not the thread that computes, and leaves
    the page as it is; `gr.Progress` covers the results and is not read out;
    `gr.DownloadButton` and `gr.UploadButton` need files on the server and routes that
    serve them.

    Args:
        open_to_all: Whether visitors are told that anyone may use the page.

    Attributes:
        blocks: The Gradio application.
    """

    def __init__(self, predictor: Predictor, limits: Limits, open_to_all: bool = False):
        self.predictor, self.limits, self.open_to_all = predictor, limits, open_to_all
        self._jobs: dict[str, Job[Any]] = {}
        self.downloads: list[gr.Button] = []
        with gr.Blocks(
            title="emonet: emotions in conversation", analytics_enabled=False, fill_width=True
        ) as self.blocks:
            self._layout()
            self._events()
        # Jobs are counted by the page, which says so at once; in Gradio's queue they
        # would wait without a word.
        self.blocks.queue(max_size=256, default_concurrency_limit=None)
        self.blocks.state_session_capacity = VISITORS

    def _layout(self) -> None:
        predictor, largest = self.predictor, largest_upload(self.limits.body)
        gr.HTML(
            '<header class="emo-header"><h1>Emotions in conversation</h1><p>Every turn of a dialogue gets an emotion, '
            f"from what is said, what was said before, and who speaks. Model: <b>{escape(predictor.name)}</b>. "
            f"It reads words, not minds.{' ' + _OPEN if self.open_to_all else ''}</p></header>"
        )
        self.analysis, self.session, self.part = (
            gr.State(None, time_to_live=3600),
            gr.State(None, time_to_live=3600),
            gr.State(0),
        )
        self.parcel = gr.Textbox(visible=False, elem_id="parcel")
        with gr.Tabs():
            with gr.Tab("Script"):
                self.script = gr.Textbox(
                    EXAMPLE,
                    label="Paste a script",
                    info="One turn a line, as Name: text. JSONL, CSV and SRT subtitles are understood too.",
                    lines=9,
                    max_lines=16,
                    elem_id="script",
                )
                with gr.Row():
                    self.analyse = gr.Button(
                        "Name the emotions", variant="primary", scale=3, elem_id="analyse"
                    )
                    self.upload = gr.HTML(
                        f'<label class="emo-upload">Upload a file instead<input type="file" accept="{",".join(ENDINGS)}" '
                        f'data-largest="{largest}"></label>',
                        js_on_load=READ_FILE,
                        elem_id="upload",
                        min_width=200,
                    )
            with gr.Tab("Chat, turn by turn"):
                with gr.Row(elem_id="chat"):
                    self.speaker = gr.Textbox(
                        "Ann", label="Speaker", scale=1, min_width=140, max_lines=1, elem_id="chat-speaker"
                    )
                    self.text = gr.Textbox(
                        label="Says (Enter adds the turn)",
                        scale=4,
                        min_width=240,
                        max_lines=1,
                        elem_id="chat-text",
                    )
                with gr.Row():
                    self.say = gr.Button("Add the turn", variant="primary", elem_id="say")
                    self.new_chat = gr.Button("New chat", elem_id="new-chat")
        self.status = gr.HTML(elem_id="status")
        self.cancel = gr.Button("Cancel", variant="stop", size="sm", visible=False, elem_id="cancel")
        with gr.Column(visible=False, elem_id="results") as self.results:
            with gr.Row(elem_id="files"):
                for kind in DOWNLOADS:
                    name = f"download-{kind.split()[1].lower()}"
                    self.downloads.append(
                        gr.Button(kind, size="sm", min_width=80, elem_id=name, elem_classes="emo-file")
                    )
            self.choice = gr.Dropdown(label="Show", visible=False, elem_id="part")
            with gr.Tabs() as self.views:
                with gr.Tab("Turns", id="turns"):
                    gr.HTML(legend(Analysis(predictor.labels).looks))
                    self.timeline = gr.HTML(elem_id="timeline")
                    self.turns = gr.HTML(elem_id="turns", js_on_load=ASK_WHY)
                with gr.Tab("Speakers", id="speakers"):
                    self.profiles = gr.HTML(elem_id="profiles")
                with gr.Tab("Why?", id="why"):
                    self.asked = gr.Dropdown(label="Why does this turn have its emotion?", elem_id="asked")
                    self.explanation = gr.HTML(elem_id="explanation")

    def _events(self) -> None:
        shown = [
            self.status,
            self.cancel,
            self.results,
            self.analysis,
            self.choice,
            self.part,
            self.views,
            self.timeline,
            self.turns,
            self.profiles,
            self.asked,
            self.explanation,
            self.session,
        ]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.analyse.click(self._analyse_text, self.script, shown, **quiet)
        self.upload.upload(self._analyse_file, None, shown, **quiet)
        self.cancel.click(self._cancel, None, None, **quiet)
        chatting = [self.speaker, self.text, self.session, self.analysis]
        for event in (self.say.click, self.text.submit):
            event(self._say, chatting, [*shown, self.text], **quiet).then(None, js=FOCUS_CHAT)
        self.new_chat.click(
            lambda: (None, gr.Column(visible=False), ""),
            None,
            [self.session, self.results, self.status],
            **quiet,
        )
        for button in self.downloads:
            made = button.click(
                self._download, [button, self.analysis], [self.status, self.cancel, self.parcel], **quiet
            )
            made.then(None, self.parcel, self.parcel, js=SAVE_PARCEL)
        chosen = [self.status, self.part, self.timeline, self.turns, self.asked]
        self.choice.input(self._choose, [self.analysis, self.choice], chosen, **quiet)
        explained = [self.cancel, self.views, self.asked, self.explanation]
        self.turns.select(self._ask, [self.analysis, self.part], explained, **quiet)
        self.asked.input(self._explain, [self.analysis, self.part, self.asked], explained, **quiet)
        self.blocks.unload(self._cancel)

    # -- jobs
    # -----------------------------------------------------------------------------------------------------------

    def _run(
        self, request: gr.Request, work: Callable[[Report], Any], doing: str, where: Any
    ) -> Generator[Updates, None, Any]:
        """Work as the visitor's job: yields to `where` how far it is, then why there is
        no answer; or returns the answer.
        """
        key = str(request.session_hash)
        if earlier := self._jobs.pop(key, None):
            earlier.stop()
        if len(self._jobs) >= JOBS:
            yield {
                where: _alert(
                    f"{JOBS} visitors have something under way, which is the limit. Try again in a moment."
                )
            }
            return None
        self._jobs[key] = job = Job(work, self.limits.page_seconds)
        try:
            while not job.done(wait=0.3):
                yield {where: _progress(job, doing), self.cancel: gr.Button(visible=True)}
        finally:  # the page was closed, too
            cancelled, replaced = job.stopped, self._jobs.get(key) not in (job, None)
            job.stop()
            if self._jobs.get(key) is job:
                del self._jobs[key]
        if replaced:
            return None
        if job.overdue:
            said = _alert(
                f"Not done within {self.limits.page_seconds:g} seconds, which is the limit; cut the script into parts."
            )
        elif cancelled:
            said = _note("Cancelled.")
        elif isinstance(job.error, (DataFormatError, EmoNetError)):
            said = _alert(str(job.error))
        elif job.error is not None:
            logger.error("A job of the page failed", exc_info=job.error)
            said = _alert("The server failed at this; its log says why.")
        else:
            return job.answer
        yield {where: said, self.cancel: gr.Button(visible=False)}
        return None

    def _cancel(self, request: gr.Request) -> None:
        if job := self._jobs.get(str(request.session_hash)):
            job.stop()

    # -- scripts
    # --------------------------------------------------------------------------------------------------------

    def _analyse_text(self, script: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._analyse(script.encode("utf-8", "replace"), "The script", request)

    def _analyse_file(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        sent = event._data or {}
        try:
            name, raw = read_upload(
                sent.get("name"), sent.get("size"), sent.get("content"), largest_upload(self.limits.body)
            )
        except EmoNetError as error:
            yield {self.status: _alert(str(error))}
            return
        yield from self._analyse(raw, name, request)

    def _analyse(self, raw: bytes, name: str, request: gr.Request) -> Iterator[Updates]:
        """The script through the model."""

        def work(report: Report) -> Analysis:
            dialogues = parse_script(raw, name)
            if sum(len(turns) for _, turns in dialogues) > self.limits.turns:
                raise EmoNetError(
                    f"{name}: over {self.limits.turns} turns, which is the limit; cut it into parts."
                )
            rows = self.predictor.predict([turns for _, turns in dialogues], report=report)
            return Analysis(
                self.predictor.labels, [(key, row) for (key, _), row in zip(dialogues, rows, strict=True)]
            )

        analysis = yield from self._run(request, work, "Naming emotions", self.status)
        if analysis is not None:
            yield {self.status: _note(_counts(analysis)), **self._show(analysis, 0), self.session: None}

    # -- chat
    # -----------------------------------------------------------------------------------------------------------

    def _say(
        self, speaker: str, text: str, session: Session | None, analysis: Analysis | None, request: gr.Request
    ) -> Iterator[Updates]:
        """One more turn; the first one begins a new dialogue."""
        speaker = speaker.strip()[:200]
        if not speaker:
            yield {self.status: _alert("Who speaks? Give a name.")}  # what was typed stays
            return
        if session is None or analysis is None:
            try:
                session = self.predictor.session()
            except EmoNetError as error:
                yield {self.status: _alert(f"{error} Paste the whole script instead.")}
                return
            analysis = Analysis(self.predictor.labels, [("chat", [])])
        turns = analysis.dialogues[0][1]
        if len(turns) >= self.limits.turns:
            yield {self.status: _alert(f"{len(turns)} turns, which is the limit. Begin a new chat.")}
            return

        def work(report: Report) -> dict[str, Any]:
            # A pass that has begun is not stopped: what the session has heard is shown,
            # with the next turn at the latest.
            turns.append(self.predictor.add(session, speaker, text[:20_000], report))
            return turns[-1]

        turn = yield from self._run(request, work, "Naming the emotion", self.status)
        if turn is not None:
            status = _note(f"{speaker}: {turn['label']} {turn['score']:.0%}. {_counts(analysis)}")
            last = len(analysis.parts()) - 1
            yield {self.status: status, **self._show(analysis, last), self.session: session, self.text: ""}

    # -- results
    # --------------------------------------------------------------------------------------------------------

    def _show(self, analysis: Analysis, number: int) -> Updates:
        parts = analysis.parts()
        names = [(part.title(len(analysis.dialogues)), place) for place, part in enumerate(parts)]
        return {
            self.cancel: gr.Button(visible=False),
            self.analysis: analysis,
            self.results: gr.Column(visible=True),
            self.choice: gr.Dropdown(names, value=number, visible=len(parts) > 1),
            self.part: number,
            self.views: gr.Tabs(selected="turns"),
            self.timeline: timeline(analysis, parts[number]),
            self.turns: turn_list(analysis, parts[number]),
            self.profiles: profiles(analysis, self.predictor.processor),
            self.asked: _questions(parts[number]),
            self.explanation: "",
        }

    def _choose(self, analysis: Analysis | None, number: Any) -> Updates:
        part = _part(analysis, number)
        if analysis is None or part is None:
            return {self.status: _alert(_GONE)}
        return {
            self.part: number,
            self.timeline: timeline(analysis, part),
            self.turns: turn_list(analysis, part),
            self.asked: _questions(part),
        }

    def _download(self, kind: str, analysis: Analysis | None, request: gr.Request) -> Iterator[Updates]:
        """A file for the browser to save."""
        if analysis is None or kind not in DOWNLOADS:
            yield {self.status: _alert(_GONE)}
            return

        def work(report: Report) -> str:
            return parcel(kind, analysis, self.predictor.name)

        made = yield from self._run(request, work, "Writing the file", self.status)
        if made is not None:
            words = f"{DOWNLOADS[kind][0]} goes to your browser's downloads."
            if kind == "Download PNG timeline" and len(analysis.speakers()) > MOST_ROWS:
                words += " " + Rows.of([turn for _, turns in analysis.dialogues for turn in turns]).note
            yield {self.status: _note(words), self.cancel: gr.Button(visible=False), self.parcel: made}

    def _ask(
        self, analysis: Analysis | None, number: int, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        place = (event._data or {}).get("place")
        yield {self.views: gr.Tabs(selected="why"), self.asked: gr.update(value=place), self.explanation: ""}
        yield from self._explain(analysis, number, place, request)

    def _explain(
        self, analysis: Analysis | None, number: int, place: Any, request: gr.Request
    ) -> Iterator[Updates]:
        """Occlusion of the turns around `place`. It takes the model for as long as some
        forty turns of context need.
        """
        part = _part(analysis, number)
        if analysis is None or part is None or place not in range(part.first, part.first + len(part.turns)):
            yield {self.explanation: _alert(_GONE)}
            return

        def work(report: Report) -> str:
            return explanation(
                analysis, part.dialogue, self.predictor.explain(analysis, part.dialogue, place, report)
            )

        found = yield from self._run(request, work, "Leaving out turns", self.explanation)
        if found is not None:
            yield {self.explanation: found, self.cancel: gr.Button(visible=False)}


def _part(analysis: Analysis | None, number: Any) -> Part | None:
    """What the visitor looks at; None where it is gone, or never was."""
    parts = analysis.parts() if analysis is not None else []
    return parts[number] if type(number) is int and number in range(len(parts)) else None


def _questions(part: Part) -> Any:
    choices = []
    for place, turn in enumerate(part.turns, start=part.first):
        text = turn["text"] if len(turn["text"]) < 60 else turn["text"][:58] + "…"
        choices.append((f"{place + 1}. {turn['speaker']}: {text} ({turn['label']})", place))
    return gr.Dropdown(choices, value=None)


def _counts(analysis: Analysis) -> str:
    turns, speakers, dialogues = analysis.size, len(analysis.speakers()), len(analysis.dialogues)
    words = [f"{turns} turn{'s' if turns > 1 else ''}", f"{speakers} speaker{'s' if speakers > 1 else ''}"]
    if dialogues > 1:
        words.append(f"{dialogues} dialogues")
    unnamed = sum(turn["speaker"] == UNKNOWN for _, rows in analysis.dialogues for turn in rows)
    hint = f" {unnamed} of them don't say who speaks: they stand under {UNKNOWN}." if unnamed else ""
    return ", ".join(words) + "." + hint


def _progress(job: Job[Any], doing: str) -> str:
    """How far a job is; `doing` says what it does with turns."""
    what, done, whole = job.progress
    words = {"preparing": "Preparing", "memory": "Reading what the speakers said before", "turns": doing}[
        what
    ]
    return (
        f'<div class="emo-status" role="status"><label>{words}: {done} of {whole} '
        f'<progress max="{whole}" value="{done}"></progress></label></div>'
    )


def _note(text: str) -> str:
    return f'<div class="emo-status" role="status">{escape(text)}</div>'


def _alert(text: str) -> str:
    return f'<div class="emo-status emo-alert" role="alert"><b>That did not work.</b> {escape(text)}</div>'
