"""Mount the demo page under `/` of an application, behind its guard."""

from importlib.resources import files

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from ..access import Access
from ..limits import Limits
from ..predictor import Predictor
from .events import Page
from .gradio_guard import GradioGuard
from .model_card import ModelCard


def mount_page(
    app: FastAPI,
    predictor: Predictor,
    limits: Limits,
    access: Access | None = None,
    card: ModelCard | None = None,
) -> FastAPI:
    """Return the application with the page.

    Args:
        app: The application; routes that it has already come before the page's.
        predictor: The model.
        limits: What a visitor may cost.
        access: Who may use the page; an open one says so.
        card: The model's card, which the page shows.
    """
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    page = Page(predictor, limits, access is not None and access.open, card)
    app = gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        theme=theme,
        css=files(__package__).joinpath("style.css").read_text("utf-8"),
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
    mount.app = GradioGuard(mount.app, page.blocks, limits, page.visitors.cancel_call)
    return app
