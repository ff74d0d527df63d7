"""The demo page (Gradio): paste or upload a script, or chat; see, explain and take home the emotions."""

import logging
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from ..dialogue.subtitles import UNKNOWN
from ..dialogue.transcripts import parse_script
from ..errors import DataFormatError, EmoNetError
from .analysis import Analysis, Part
from .downloads import links
from .explanation import explanation
from .job import Job
from .limits import Limits
from .predictor import Predictor, Session
from .profiles import profiles
from .timeline import timeline
from .turn_list import legend, turn_list

logger = logging.getLogger("uvicorn.error")

ENDINGS = [".txt", ".srt", ".jsonl", ".json", ".csv", ".tsv"]
EXAMPLE = """Ines: You missed supper, so I brought it up to you. Eat while it's warm, my dear.
Theo: Never mind soup, come and look! It's a street! People in hats, real ones, waving at us!
Ines: That's the bakery corner. How good of her, to keep it safe for us all this time.
Juno: Why would she hide it? It's just people going to the pictures.
Theo: Perhaps somebody asked her to.
Juno: Wait. Go back. Go back to the lady in row K.
Theo: Oh no. Don't call down the stairs yet. He isn't well. I don't know what this will do to him.
Juno: Is that who I think it is? My stomach's gone all funny."""

_ASK_WHY = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-why]');
  if (button) trigger('select', {place: Number(button.dataset.why)});
});"""
_SPOKEN_BY_ENTER = (
    """() => setTimeout(() => document.querySelector('#chat-text textarea, #chat-text input')?.focus(), 50)"""
)


def mount_page(app: FastAPI, predictor: Predictor, limits: Limits) -> FastAPI:
    """Put the page under `/` of an application."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return gr.mount_gradio_app(
        app,
        Page(predictor, limits).blocks,
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


class Page:
    """The page and what its visitors have under way.

    Attributes:
        blocks: The Gradio application.
    """

    def __init__(self, predictor: Predictor, limits: Limits):
        self.predictor, self.limits = predictor, limits
        self._jobs: dict[str, Job] = {}
        # What visitors upload is read once; Gradio's copies are deleted after ten minutes.
        with gr.Blocks(
            title="emonet: emotions in conversation",
            analytics_enabled=False,
            delete_cache=(300, 600),
            fill_width=True,
        ) as self.blocks:
            self._layout()
            self._events()
        self.blocks.queue(max_size=256, default_concurrency_limit=16)

    def _layout(self) -> None:
        predictor = self.predictor
        gr.HTML(
            '<header class="emo-header"><h1>Emotions in conversation</h1><p>Every turn of a dialogue gets an emotion, '
            f"from what is said, what was said before, and who speaks. Model: <b>{escape(predictor.name)}</b>. "
            "It reads words, not minds.</p></header>"
        )
        self.analysis, self.session, self.part = (
            gr.State(None, time_to_live=3600),
            gr.State(None, time_to_live=3600),
            gr.State(0),
        )
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
                    self.upload = gr.UploadButton(
                        "Upload a file instead", file_types=ENDINGS, scale=1, elem_id="upload"
                    )
                    self.cancel = gr.Button(
                        "Cancel", variant="stop", visible=False, scale=1, elem_id="cancel"
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
        with gr.Column(visible=False, elem_id="results") as self.results:
            self.files = gr.HTML(elem_id="files")
            self.choice = gr.Dropdown(label="Show", visible=False, elem_id="part")
            with gr.Tabs() as self.views:
                with gr.Tab("Turns", id="turns"):
                    gr.HTML(legend(Analysis(predictor.labels).looks))
                    self.timeline = gr.HTML(elem_id="timeline")
                    self.turns = gr.HTML(elem_id="turns", js_on_load=_ASK_WHY)
                with gr.Tab("Speakers", id="speakers"):
                    self.profiles = gr.HTML(elem_id="profiles")
                with gr.Tab("Why?", id="why"):
                    self.asked = gr.Dropdown(label="Why does this turn have its emotion?", elem_id="asked")
                    self.explanation = gr.HTML(elem_id="explanation")

    def _events(self) -> None:
        shown = [
            self.status,
            self.results,
            self.analysis,
            self.files,
            self.choice,
            self.part,
            self.views,
            self.timeline,
            self.turns,
        ]
        shown += [self.profiles, self.asked, self.explanation]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        analysed = [*shown, self.session, self.analyse, self.upload, self.cancel]
        self.analyse.click(self._analyse_text, self.script, analysed, **quiet)
        self.upload.upload(self._analyse_file, self.upload, analysed, **quiet)
        self.cancel.click(self._cancel, None, None, queue=False, **quiet)
        chatting = [self.speaker, self.text, self.session, self.analysis]
        for event in (self.say.click, self.text.submit):
            event(self._say, chatting, [*shown, self.session, self.text], **quiet).then(
                None, js=_SPOKEN_BY_ENTER
            )
        self.new_chat.click(
            lambda: (None, gr.Column(visible=False), ""),
            None,
            [self.session, self.results, self.status],
            **quiet,
        )
        self.choice.input(
            self._choose,
            [self.analysis, self.choice],
            [self.part, self.timeline, self.turns, self.asked],
            **quiet,
        )
        explained = [self.views, self.asked, self.explanation]
        self.turns.select(self._ask, [self.analysis, self.part], explained, **quiet)
        self.asked.input(self._explain, [self.analysis, self.part, self.asked], self.explanation, **quiet)
        self.blocks.unload(self._cancel)

    # -- scripts --------------------------------------------------------------------------------------------------------

    def _analyse_text(self, script: str, request: gr.Request) -> Iterator[dict[Any, Any]]:
        yield from self._analyse(script.encode("utf-8", "replace"), "The script", request)

    def _analyse_file(self, path: str, request: gr.Request) -> Iterator[dict[Any, Any]]:
        yield from self._analyse(Path(path).read_bytes(), Path(path).name, request)

    def _analyse(self, raw: bytes, name: str, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """The script through the model; yields its progress, then what is to be shown."""
        try:
            dialogues = parse_script(raw, name)
            if sum(len(turns) for _, turns in dialogues) > self.limits.turns:
                raise EmoNetError(
                    f"{name}: over {self.limits.turns} turns, which is the limit; cut it into parts."
                )
        except (DataFormatError, EmoNetError) as error:
            yield {self.status: _alert(str(error))}
            return
        key = str(request.session_hash)
        self._jobs[key] = job = Job(
            self.predictor, [turns for _, turns in dialogues], self.limits.page_seconds
        )
        try:
            yield self._working(True)
            while not job.stopped and not job.done(wait=0.3):
                yield {self.status: _progress(job)}
            cancelled = job.stopped
        finally:  # the page was closed, too
            job.stop()
            self._jobs.pop(key, None)
        if cancelled:
            yield {self.status: _note("Cancelled."), **self._working(False)}
            return
        if job.answer is None:
            if not isinstance(job.error, EmoNetError):
                logger.error("A script failed", exc_info=job.error)
            problem = (
                str(job.error)
                if isinstance(job.error, EmoNetError)
                else "The server failed at this script; its log says why."
            )
            yield {self.status: _alert(problem), **self._working(False)}
            return
        labelled = [(name, rows) for (name, _), rows in zip(dialogues, job.answer, strict=True)]
        analysis = Analysis(self.predictor.labels, labelled)
        yield {
            self.status: _note(_counts(analysis)),
            **self._show(analysis, 0),
            **self._working(False),
            self.session: None,
        }

    def _working(self, working: bool) -> dict[Any, Any]:
        return {
            self.analyse: gr.Button(interactive=not working),
            self.upload: gr.UploadButton(interactive=not working),
            self.cancel: gr.Button(visible=working),
        }

    def _cancel(self, request: gr.Request) -> None:
        if job := self._jobs.get(str(request.session_hash)):
            job.stop()

    # -- chat -----------------------------------------------------------------------------------------------------------

    def _say(
        self, speaker: str, text: str, session: Session | None, analysis: Analysis | None
    ) -> dict[Any, Any]:
        """One more turn; the first one begins a new dialogue."""
        if not speaker.strip():
            return {self.status: _alert("Who speaks? Give a name.")}  # what was typed stays
        if session is None or analysis is None:
            try:
                session = self.predictor.session()
            except EmoNetError as error:
                return {self.status: _alert(f"{error} Paste the whole script instead.")}
            analysis = Analysis(self.predictor.labels, [("chat", [])])
        turns = analysis.dialogues[0][1]
        if len(turns) >= self.limits.turns:
            return {self.status: _alert(f"{len(turns)} turns, which is the limit. Begin a new chat.")}
        turns.append(self.predictor.add(session, speaker.strip()[:200], text[:20_000]))
        last = len(analysis.parts()) - 1
        status = _note(
            f"{speaker.strip()}: {turns[-1]['label']} {turns[-1]['score']:.0%}. {_counts(analysis)}"
        )
        return {self.status: status, **self._show(analysis, last), self.session: session, self.text: ""}

    # -- results --------------------------------------------------------------------------------------------------------

    def _show(self, analysis: Analysis, number: int) -> dict[Any, Any]:
        parts = analysis.parts()
        names = [(part.title(len(analysis.dialogues)), place) for place, part in enumerate(parts)]
        return {
            self.analysis: analysis,
            self.results: gr.Column(visible=True),
            self.files: links(analysis, self.predictor.name),
            self.choice: gr.Dropdown(names, value=number, visible=len(parts) > 1),
            self.part: number,
            self.views: gr.Tabs(selected="turns"),
            self.timeline: timeline(analysis, parts[number]),
            self.turns: turn_list(analysis, parts[number]),
            self.profiles: profiles(analysis, self.predictor.processor),
            self.asked: _questions(parts[number]),
            self.explanation: "",
        }

    def _choose(self, analysis: Analysis, number: int) -> tuple[int, str, str, Any]:
        part = analysis.parts()[number]
        return number, timeline(analysis, part), turn_list(analysis, part), _questions(part)

    def _ask(self, analysis: Analysis, number: int, event: gr.EventData) -> tuple[Any, Any, str]:
        place = int(event.place)
        return gr.Tabs(selected="why"), gr.update(value=place), self._explain(analysis, number, place)

    def _explain(self, analysis: Analysis, number: int, place: int) -> str:
        """Occlusion of the turns around `place`. It takes the model for as long as some forty turns of context need."""
        part = analysis.parts()[number]
        if not part.first <= place < part.first + len(part.turns):
            return _alert("This turn is not there any more.")
        return explanation(analysis, part.dialogue, self.predictor.explain(analysis, part.dialogue, place))


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


def _progress(job: Job) -> str:
    what, done, whole = job.progress
    return (
        f'<div class="emo-status" role="status"><label>{what}: {done} of {whole} '
        f'<progress max="{whole}" value="{done}"></progress></label></div>'
    )


def _note(text: str) -> str:
    return f'<div class="emo-status" role="status">{escape(text)}</div>'


def _alert(text: str) -> str:
    return f'<div class="emo-status emo-alert" role="alert"><b>That did not work.</b> {escape(text)}</div>'
