"""Close Gradio's file routes, and refuse events with anything but plain values.

Gradio serves, stores and fetches files for its components. It checks the paths in an
event only in an application that `launch()` started (6.31: `Blocks.has_launched`; a
mounted application has no switch for it), and URLs not at all. The page needs no files:
uploads and downloads travel as the content of events. Programs send events too:
`gradio_client` reads the configuration and the description of `/predict`, and joins the
queue as the page does. Its `Job.cancel()` is answered here: Gradio's route would end all
calls of a session together.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components.api_component import Api
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..limits import PREFIX, Limits

JOIN = "/gradio_api/queue/join"
CANCEL = "/gradio_api/cancel"
INFO = "/gradio_api/info"
_FILE = r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*"  # no segment begins with a dot
_READ = re.compile(
    rf"""/ | /config | /assets/{_FILE} | /static/{_FILE} | /theme\.css | /manifest\.json | /favicon\.ico |
    /gradio_api/heartbeat/[\w-]+ | /gradio_api/queue/data""",
    re.ASCII | re.VERBOSE,
)
_SESSION = re.compile(r"[\w-]{1,64}", re.ASCII)
_FIELDS = {"data", "event_data", "fn_index", "session_hash", "trigger_id"}
# What the scripts of the page send: the index of a turn and of a label, or an uploaded
# file; and what a tab sends: its index and its name as `value`.
_EVENT_DATA = {"index", "label", "name", "size", "content", "value"}


class WrongArgument(ValueError):
    """A call of the endpoint with an argument that is no text.

    Attributes:
        problem: The form in which `gradio_client` shows a message to the caller.
    """

    def __init__(self, name: str, value: Any):
        kind = {type(None): "null", dict: "an object", list: "a list", str: "text with broken Unicode"}
        message = (
            "give the dialogue as one valid text, such as 'Maya: I got the part!\\nTheo: Great!'; "
            f"this is {kind.get(type(value), 'a number or a bool')}. "
            f"POST {PREFIX}emotions takes lists of turns."
        )
        super().__init__(f"{name}: {message}")
        self.problem = {
            "__type__": "validate",
            "is_valid": False,
            "parameter_name": name,
            "message": message,
        }


class GradioGuard:
    """Answer 404 on closed routes, and 400 or 422 to events that the page does not send.

    Args:
        app: Gradio's application.
        blocks: The page.
        limits: Bounds on events, by `body`.
        cancel: Cancels a call of a program, by its session and its event.
    """

    def __init__(self, app: ASGIApp, blocks: gr.Blocks, limits: Limits, cancel: Callable[[str, str], None]):
        self.app, self.blocks, self.limits, self.cancel = app, blocks, limits, cancel
        blocks.has_launched = True  # switches on Gradio's own check of paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # Gradio has no others
                await send({"type": "websocket.close"})
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] == "POST" and path in (JOIN, CANCEL):
            await self._take(path, scope, receive, send)
        elif scope["method"] == "GET" and path == INFO:
            # Gradio's own answer names the host of whoever asked first, to everybody.
            await JSONResponse(self.blocks.get_api_info())(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and _READ.fullmatch(path):
            if path != "/gradio_api/queue/data":
                scope = {**scope, "query_string": b""}  # `?deep_link=` reads a file
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)

    async def _take(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        # Browsers send where a request comes from: refuse those of other sites' pages.
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
            if path == CANCEL:
                self.cancel(*check_cancel(bytes(body)))
                await JSONResponse({"success": True})(scope, receive, send)
                return
            event = json.dumps(check_event(bytes(body), self.blocks)).encode()
        except WrongArgument as error:
            await JSONResponse({"detail": [error.problem]}, 422)(scope, receive, send)
            return
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

        # Gradio reads the checked event, not the original one, in which a key could occur
        # twice.
        await self.app({**scope, "headers": kept}, receive_event, send)


def check_event(body: bytes, blocks: gr.Blocks) -> dict[str, Any]:
    """Parse an event that the page can send.

    Args:
        body: The body of a request.
        blocks: The page.

    Raises:
        ValueError: If it is anything else; the message holds none of its values.
    """
    event = _json(body)
    if not isinstance(event, dict) or not _FIELDS.issuperset(event):
        raise ValueError(f"An event is an object with {', '.join(sorted(_FIELDS))}, and no more.")
    session, function = event.get("session_hash"), event.get("fn_index")
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        raise ValueError("session_hash: up to 64 letters, digits and hyphens.")
    if type(function) is not int or function not in blocks.fns:
        raise ValueError("fn_index: the number of an event of the page.")
    if event.get("trigger_id") is not None and type(event["trigger_id"]) is not int:
        raise ValueError("trigger_id: a whole number.")
    event_data = event.get("event_data")
    if event_data is not None and not (
        isinstance(event_data, dict)
        and _EVENT_DATA.issuperset(event_data)
        and all(map(_is_plain, event_data.values()))
    ):
        fields = ", ".join(sorted(_EVENT_DATA))
        raise ValueError(f"event_data: an object with {fields}, each text, a number or null.")
    inputs, data = blocks.fns[function].inputs, event.get("data")
    if not isinstance(data, list) or len(data) != len(inputs):
        raise ValueError(f"data: a list of {len(inputs)} values.")
    for index, (block, value) in enumerate(zip(inputs, data, strict=True)):
        if not _fits(value, block):
            if blocks.fns[function].api_visibility == "public":
                raise WrongArgument(str(getattr(block, "label", index)), value)
            raise ValueError(
                f"data.{index}: not what a {type(block).__name__} holds; text, numbers and null alone."
            )
    return event


def check_cancel(body: bytes) -> tuple[str, str]:
    """Parse what `gradio_client` sends to cancel a call.

    Args:
        body: The body of a request.

    Returns:
        The session and the event.

    Raises:
        ValueError: If it is anything else.
    """
    sent = _json(body)
    given = [sent.get(name) for name in ("session_hash", "event_id")] if isinstance(sent, dict) else []
    names = [name for name in given if isinstance(name, str) and _SESSION.fullmatch(name)]
    if len(names) != 2:
        raise ValueError("session_hash and event_id: up to 64 letters, digits and hyphens.")
    return names[0], names[1]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("The event is not JSON.") from error


def _is_plain(value: Any) -> bool:
    """Return whether it is null, a bool, a finite number, or valid Unicode text."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _fits(value: Any, block: Block) -> bool:
    """Return whether it can be the value of a component.

    States live on the server: no event carries one.
    """
    if isinstance(block, gr.State):
        return value is None
    return _is_plain(value) and (isinstance(value, str) or not isinstance(block, (gr.Textbox, Api)))
