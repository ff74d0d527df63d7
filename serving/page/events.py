"""Handle the page's events: label a script, chat, and answer programs."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.events import api

from ...dialogue.reader import read_bytes
from ...dialogue.reading import Reading
from ...errors import EmoNetError
from ...inference.predict import Report
from ..api import LabelledTurn
from ..limits import Limits
from ..predictor import Predictor, Session
from .analysis import Analysis
from .examples import EXAMPLES
from .layout import Layout
from .messages import alert, counts, note, reading_note
from .model_card import ModelCard
from .scripts import FOCUS_CHAT
from .upload import largest_upload, read_upload
from .visitors import Updates, Visitors, event_data

MAX_VISITORS = 256  # whose results are kept
_ENDPOINT = (
    "The emotion of every turn of a dialogue. `script` is a text in any form that the page reads: "
    "`Name: text` lines, subtitles, an export of a messenger, CSV or JSON. Returns one object for each turn, "
    "with `speaker`, `text`, `label`, `score` and `scores` (highest first); also `dialogue_id` if there are "
    "several dialogues, and `start` and `end` (seconds) if the script has times."
)


class Page:
    """The page and its visitors' jobs.

    Args:
        predictor: The model.
        limits: What a visitor may cost.
        open_to_all: Whether visitors are told that anyone may use the page.
        card: The model's card.

    Attributes:
        blocks: The Gradio application.
        components: Its components.
    """

    def __init__(
        self,
        predictor: Predictor,
        limits: Limits,
        open_to_all: bool = False,
        card: ModelCard | None = None,
    ):
        self.predictor, self.limits = predictor, limits
        self.visitors = Visitors(limits.page_seconds)
        title = "emonet: emotions in conversation"
        with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as self.blocks:
            self.components = Layout(predictor, self.visitors, limits, card or ModelCard(), open_to_all)
            self._connect()
        # The page counts jobs and refuses one too many at once; in Gradio's queue it
        # would wait without a message.
        self.blocks.queue(max_size=256, default_concurrency_limit=None)
        self.blocks.state_session_capacity = MAX_VISITORS

    def _connect(self) -> None:
        """Connect components with the methods that handle their events."""
        page = self.components
        script, chat = page.script_results, page.chat_results
        options: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        page.analyse.click(self._analyse_text, page.script, script.outputs, **options)
        page.upload.upload(self._analyse_file, None, script.outputs, **options)
        for example in page.examples:
            example.click(self._analyse_example, example, [*script.outputs, page.script], **options)
        said = [page.speaker, page.text, page.session, chat.analysis]
        for event in (page.say.click, page.text.submit):
            answered = event(self._say, said, [*chat.outputs, page.session, page.text], **options)
            answered.then(None, js=FOCUS_CHAT)
        page.new_chat.click(
            self._begin_chat, None, [page.session, chat.analysis, chat.section, chat.status], **options
        )
        api(self.predict, api_name="predict", api_description=_ENDPOINT, concurrency_limit=None)
        *_, endpoint = self.blocks.fns.values()
        endpoint.inputs[0].label, endpoint.outputs[0].label = "script", "turns"
        self.blocks.unload(self.visitors.leave)

    async def predict(self, script: str, request: gr.Request) -> list[dict[str, Any]]:
        """Answer the endpoint `/predict`.

        Args:
            script: A text in any form that the page reads.
            request: Names the visitor.

        Raises:
            gr.Error: If there is no answer; it says why.
        """
        raw = script.encode("utf-8", "replace")
        analysis, _ = await self.visitors.answer(request, lambda report: self._label(raw, "script", report))
        several = len(analysis.dialogues) > 1
        rows = [
            LabelledTurn(**{**turn, "dialogue_id": name if several else None})
            for name, turns in analysis.dialogues
            for turn in turns
        ]
        return [row.model_dump(exclude_none=True) for row in rows]

    def _analyse_text(self, script: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._analyse(script.encode("utf-8", "replace"), "The script", request)

    def _analyse_example(self, title: str, request: gr.Request) -> Iterator[Updates]:
        """Put an example into the box and label it."""
        example = EXAMPLES.get(title)
        if example is not None:
            yield {self.components.script: example}
            yield from self._analyse(example.encode(), "The example", request)

    def _analyse_file(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        sent = event_data(event)
        try:
            name, raw = read_upload(
                sent.get("name"), sent.get("size"), sent.get("content"), largest_upload(self.limits.body)
            )
        except EmoNetError as error:
            yield {self.components.script_results.status: alert(str(error))}
            return
        yield from self._analyse(raw, name, request)

    def _analyse(self, raw: bytes, name: str, request: gr.Request) -> Iterator[Updates]:
        """Label the turns of a script, and show them."""
        results = self.components.script_results
        answer = yield from self.visitors.run(
            request,
            lambda report: self._label(raw, name, report),
            "Naming emotions",
            results.status,
            results.cancel,
        )
        if answer is not None:
            analysis, reading = answer
            yield {**results.show(analysis, 0), results.status: reading_note(reading)}

    def _label(self, raw: bytes, name: str, report: Report) -> tuple[Analysis, Reading]:
        """Read a script and label its turns.

        Args:
            raw: The script.
            name: Names it in errors.
            report: Called after each pass of the model.

        Raises:
            EmoNetError: If it cannot be read, or has too many turns.
        """
        reading = read_bytes(raw, name)
        dialogues = [(found.dialogue_id, found.turns) for found in reading.conversations]
        if sum(len(turns) for _, turns in dialogues) > self.limits.turns:
            raise EmoNetError(
                f"{name}: over {self.limits.turns} turns, which is the limit; cut it into parts."
            )
        rows = self.predictor.predict([turns for _, turns in dialogues], report=report)
        labelled = [(key, turns) for (key, _), turns in zip(dialogues, rows, strict=True)]
        return Analysis(self.predictor.labels, labelled), reading

    def _say(
        self, speaker: str, text: str, session: Session | None, analysis: Analysis | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Add a turn to the chat; the first one begins a new dialogue."""
        page, results = self.components, self.components.chat_results
        speaker = speaker.strip()[:200]
        if not speaker:
            yield {results.status: alert("Who speaks? Give a name.")}  # the text stays in its box
            return
        if session is None or analysis is None:
            try:
                session = self.predictor.session()
            except EmoNetError as error:
                yield {results.status: alert(f"{error} Paste the whole script instead.")}
                return
            analysis = Analysis(self.predictor.labels, [("chat", [])], source="chat")
        turns = analysis.dialogues[0][1]
        if len(turns) >= self.limits.turns:
            yield {results.status: alert(f"{len(turns)} turns, which is the limit. Begin a new chat.")}
            return

        def work(report: Report) -> dict[str, Any]:
            # A pass that has begun is not stopped. The session then holds its turn, so
            # the page shows it too, together with the next one.
            turns.append(self.predictor.add(session, speaker, text[:20_000], report))
            return turns[-1]

        turn = yield from self.visitors.run(
            request, work, "Naming the emotion", results.status, results.cancel
        )
        if turn is not None:
            message = f"{speaker}: {turn['label']} {turn['score']:.0%}. {counts(analysis)}"
            yield {
                **results.show(analysis, len(analysis.parts()) - 1),
                results.status: note(message),
                page.session: session,
                page.text: "",
            }

    def _begin_chat(self) -> tuple[None, None, gr.Column, str]:
        return None, None, gr.Column(visible=False), ""
