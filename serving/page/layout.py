"""Lay out the demo page: the components that its events read and update."""

from html import escape

import gradio as gr

from .analysis import Analysis
from .downloads import DOWNLOADS
from .scripts import ASK_WHY, READ_FILE
from .turn_list import legend
from .upload import ENDINGS

EXAMPLE = """Ines: You missed supper, so I brought it up to you. Eat while it's warm, my dear.
Theo: Never mind soup, come and look! It's a street! People in hats, real ones, waving at us!
Ines: That's the bakery corner. How good of her, to keep it safe for us all this time.
Juno: Why would she hide it? It's just people going to the pictures.
Theo: Perhaps somebody asked her to.
Juno: Wait. Go back. Go back to the lady in row K.
Theo: Oh no. Don't call down the stairs yet. He isn't well. I don't know what this will do to him.
Juno: Is that who I think it is? My stomach's gone all funny."""

_SECONDS_KEPT = 3600  # results and chats, after their last use


class Layout:
    """The components of the page, created within a `gr.Blocks`.

    `gr.DownloadButton` and `gr.UploadButton` are not used: they need files on the server
    and routes that serve them.

    Args:
        model: The model's name.
        labels: The model's emotions.
        largest: Bytes of the largest file that can be uploaded.
        open_to_all: Whether to say that anyone may use the page.

    Attributes:
        analysis, session, part: States of a visitor: the results, the chat, and the index
            of the part that is shown.
        parcel: A download on its way to the browser.
    """

    def __init__(self, model: str, labels: list[str], largest: int, open_to_all: bool):
        notice = " Anyone who reaches this page may use it." if open_to_all else ""
        gr.HTML(
            '<header class="emo-header"><h1>Emotions in conversation</h1><p>Every turn of a dialogue gets an '
            "emotion, from what is said, what was said before, and who speaks. Model: "
            f"<b>{escape(model)}</b>. It reads words, not minds.{notice}</p></header>"
        )
        self.analysis = gr.State(None, time_to_live=_SECONDS_KEPT)
        self.session = gr.State(None, time_to_live=_SECONDS_KEPT)
        self.part = gr.State(0)
        self.parcel = gr.Textbox(visible=False, elem_id="parcel")
        with gr.Tabs():
            with gr.Tab("Script"):
                self._script(largest)
            with gr.Tab("Chat, turn by turn"):
                self._chat()
        self.status = gr.HTML(elem_id="status")
        self.cancel = gr.Button("Cancel", variant="stop", size="sm", visible=False, elem_id="cancel")
        with gr.Column(visible=False, elem_id="results") as self.results:
            self._results(labels)

    def _script(self, largest: int) -> None:
        self.script = gr.Textbox(
            EXAMPLE,
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

    def _results(self, labels: list[str]) -> None:
        with gr.Row(elem_id="files"):
            self.downloads = [
                gr.Button(
                    kind,
                    size="sm",
                    min_width=80,
                    elem_id=f"download-{kind.split()[1].lower()}",
                    elem_classes="emo-file",
                )
                for kind in DOWNLOADS
            ]
        self.choice = gr.Dropdown(label="Show", visible=False, elem_id="part")
        with gr.Tabs() as self.views:
            with gr.Tab("Turns", id="turns"):
                gr.HTML(legend(Analysis(labels).looks))
                self.timeline = gr.HTML(elem_id="timeline")
                self.turns = gr.HTML(elem_id="turns", js_on_load=ASK_WHY)
            with gr.Tab("Speakers", id="speakers"):
                self.profiles = gr.HTML(elem_id="profiles")
            with gr.Tab("Why?", id="why"):
                self.asked = gr.Dropdown(label="Why does this turn have its emotion?", elem_id="asked")
                self.explanation = gr.HTML(elem_id="explanation")
