"""What of Gradio a visitor can reach: the few routes that the page needs, and events of
text and numbers alone.

Gradio serves, stores and fetches files for its components. It checks the paths of a
forged event only in an app that
`launch()` started (6.31: `Blocks.has_launched`; a mounted one has no switch for it), and
URLs not at all. The page
needs no files: what is uploaded travels as the content of an event, and so does what is
downloaded. So every route that serves or stores a file is closed, and an event that holds
anything but plain values is refused.
"""

import json
import math
import re
from typing import Any

import gradio as gr
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits

JOIN = "/gradio_api/queue/join"
_FILE = r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*"  # no segment begins with a dot
_READ = re.compile(
    rf"""/ | /assets/{_FILE} | /static/{_FILE} | /theme\.css | /manifest\.json | /favicon\.ico |
    /gradio_api/heartbeat/\w+ | /gradio_api/queue/data""",
    re.ASCII | re.VERBOSE,
)
_SESSION = re.compile(r"\w{1,64}", re.ASCII)
_FIELDS = {"data", "event_data", "fn_index", "session_hash", "trigger_id"}
_TOLD = {
    "place",
    "name",
    "size",
    "content",
}  # what the scripts of the page tell: a turn's place, an uploaded file


class GradioGuard:
    """Around a mounted Gradio application: 404 for a closed route, 400 for an event that
    the page does not send.

    Args:
        app: Gradio's application. blocks: What it shows. limits: Their `body` bounds an
            event.
    """

    def __init__(self, app: ASGIApp, blocks: gr.Blocks, limits: Limits):
        self.app, self.blocks, self.limits = app, blocks, limits
        blocks.has_launched = True  # Gradio's own check of paths, behind this one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI calls it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # Gradio has none
                await send({"type": "websocket.close"})
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] == "POST" and path == JOIN:
            await self._join(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and _READ.fullmatch(path):
            if path != "/gradio_api/queue/data":
                scope = {**scope, "query_string": b""}  # `?deep_link=` reads a file
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        # Browsers say where a request comes from; a page of another site has no business
        # here.
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            await JSONResponse({"detail": "Events come from this page alone."}, 403)(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.limits.body:
                await JSONResponse({"detail": self.limits.too_large}, 413)(scope, receive, send)
                return
        try:
            event = json.dumps(check_event(bytes(body), self.blocks)).encode()
        except ValueError as error:
            await JSONResponse({"detail": str(error)}, 400)(scope, receive, send)
            return
        kept = [
            (name, value)
            for name, value in scope["headers"]
            if name not in (b"content-length", b"content-type")
        ]
        kept += [(b"content-length", str(len(event)).encode()), (b"content-type", b"application/json")]
        unread = [event]

        async def receive_event() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        # Gradio reads what was checked, not what came: no second reading of a key that
        # stands there twice.
        await self.app({**scope, "headers": kept}, receive_event, send)


def check_event(body: bytes, blocks: gr.Blocks) -> dict[str, Any]:
    """An event as the page sends it, from a request's body.

    Raises:
        ValueError: for anything else, without the values.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("The event is not JSON.") from error
    if not isinstance(event, dict) or not _FIELDS.issuperset(event):
        raise ValueError(f"An event is an object with {', '.join(sorted(_FIELDS))}, and no more.")
    session, number = event.get("session_hash"), event.get("fn_index")
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        raise ValueError("session_hash: up to 64 letters and digits.")
    if type(number) is not int or number not in blocks.fns:
        raise ValueError("fn_index: the number of an event of the page.")
    if event.get("trigger_id") is not None and type(event["trigger_id"]) is not int:
        raise ValueError("trigger_id: a whole number.")
    told = event.get("event_data")
    if told is not None and not (
        isinstance(told, dict) and _TOLD.issuperset(told) and all(map(_is_plain, told.values()))
    ):
        raise ValueError(
            f"event_data: an object with {', '.join(sorted(_TOLD))}, each text, a number or null."
        )
    inputs, data = blocks.fns[number].inputs, event.get("data")
    if not isinstance(data, list) or len(data) != len(inputs):
        raise ValueError(f"data: a list of {len(inputs)} values.")
    for index, (block, value) in enumerate(zip(inputs, data, strict=True)):
        if not _fits(value, block):
            raise ValueError(
                f"data.{index}: not what a {type(block).__name__} holds; text, numbers and null alone."
            )
    return event


def _is_plain(value: Any) -> bool:
    """Whether it is text that UTF-8 can write, a finite number, a truth value, or null."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _fits(value: Any, block: Any) -> bool:
    """Whether a component of the page can have it as its value; a state lives on the
    server.
    """
    if isinstance(block, gr.State):
        return value is None
    return _is_plain(value) and (isinstance(value, str) or not isinstance(block, gr.Textbox))
