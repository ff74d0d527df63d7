"""Lay out the demo page: the components that its events read and update."""

from html import escape

import gradio as gr

from ..limits import Limits
from ..predictor import Predictor
from .annotate import SECONDS_KEPT
from .examples import EXAMPLES
from .model_card import ModelCard
from .results import Results
from .scripts import READ_FILE
from .upload import ENDINGS, largest_upload
from .visitors import Visitors


class Layout:
    """The components of the page, created within a `gr.Blocks`.

    Script and chat have results of their own. `gr.UploadButton` is not used: it needs
    files on the server.

    Args:
        predictor: The model.
        visitors: Runs the visitors' jobs.
        limits: What a visitor may cost.
        card: The model's card.
        open_to_all: Whether to say that anyone may use the page.

    Attributes:
        script_results, chat_results: The results below the inputs of each tab.
        session: State of a visitor: the chat.
    """

    def __init__(
        self, predictor: Predictor, visitors: Visitors, limits: Limits, card: ModelCard, open_to_all: bool
    ):
        notice = " Anyone who reaches this page may use it." if open_to_all else ""
        name = escape(predictor.name)
        if card.url:
            name = f'<a href="{escape(card.url)}" target="_blank" rel="noopener noreferrer">{name}</a>'
        gr.HTML(
            '<header class="emo-header"><h1>Emotions in conversation</h1><p>Every turn of a dialogue gets an '
            "emotion, from what is said, what was said before, and who speaks. Model: "
            f"<b>{name}</b>. It reads words, not minds.{notice}</p></header>"
        )
        with gr.Tabs():
            with gr.Tab("Script"):
                largest = largest_upload(limits.body)
                self._script(largest)
                self.script_results = Results("script", predictor, visitors, largest)
            with gr.Tab("Chat"):
                self._chat()
                self.chat_results = Results("chat", predictor, visitors)
            if card.text:
                with gr.Tab("Model card"):
                    gr.Markdown(card.text, latex_delimiters=[], elem_id="card")

    def _script(self, largest: int) -> None:
        with gr.Row(elem_id="examples"):
            gr.HTML("Try an example:", elem_classes="emo-label")
            self.examples = [
                gr.Button(
                    title,
                    size="sm",
                    min_width=80,
                    elem_id=f"example-{title.split()[-1].lower()}",
                    elem_classes="emo-file",
                )
                for title in EXAMPLES
            ]
        self.script = gr.Textbox(
            next(iter(EXAMPLES.values())),
            label="Paste a script",
            info="One turn a line, as Name: text. Subtitles, tables, JSON of recognisers and exports of "
            "messengers are understood too.",
            lines=9,
            max_lines=16,
            elem_id="script",
        )
        with gr.Row():
            self.analyse = gr.Button("Name the emotions", variant="primary", scale=3, elem_id="analyse")
            self.upload = gr.HTML(
                '<label class="emo-upload">Upload a file instead<input type="file" '
                f'accept="{",".join(ENDINGS)}" data-largest="{largest}"></label>',
                js_on_load=READ_FILE,
                elem_id="upload",
                min_width=200,
            )

    def _chat(self) -> None:
        self.session = gr.State(None, time_to_live=SECONDS_KEPT)
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
            self.say = gr.Button("Add the turn", variant="primary", scale=3, elem_id="say")
            self.new_chat = gr.Button("New chat", elem_id="new-chat")
