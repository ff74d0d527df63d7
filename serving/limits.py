"""Bound what one request may cost, before the application sees it."""

from dataclasses import dataclass

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1/"  # of the JSON endpoint
HEALTH = f"{PREFIX}health"


@dataclass(frozen=True)
class Limits:
    """Bounds on requests.

    Attributes:
        body: Bytes of a request's body, uploaded files included.
        turns: Turns of a script; for a JSON request, history included.
        seconds: Time for a JSON request, from its first byte to the answer, waiting
            included.
        page_seconds: Time for a script on the page, which shows its progress and can be
            cancelled.
        requests: JSON requests at a time for each worker, computed or waiting; the page
            has as many.
        per_address: Requests at a time from one address; None for a quarter of all.
    """

    body: int = 2 * 2**20
    turns: int = 5000
    seconds: float = 60.0
    page_seconds: float = 600.0
    requests: int = 1024
    per_address: int | None = None

    @property
    def too_large(self) -> str:
        """The reason for refusing a large body."""
        return f"The body is larger than {self.body} bytes, which is the limit."

    @property
    def too_late(self) -> str:
        """The reason for giving up a slow request."""
        return (
            f"No answer within {self.seconds:g} seconds, which is the limit; "
            "send fewer turns, or try again later."
        )


class LimitRequests:
    """Keep the limits of an ASGI application.

    A body that is declared too large gets 413. Under `prefix`, one request too many or
    too slow gets 503. (FastAPI's `max_body_size` counts the bytes that arrive, but
    refuses a large declared length without JSON.)
    """

    def __init__(self, app: ASGIApp, limits: Limits, prefix: str):
        self.app, self.limits, self.prefix = app, limits, prefix
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        declared = dict(scope.get("headers", ())).get(b"content-length", b"")
        if scope["type"] == "http" and declared.isdigit() and int(declared[:20]) > self.limits.body:
            refusal = JSONResponse({"detail": self.limits.too_large}, 413, {"connection": "close"})
            await refusal(scope, receive, send)
        elif scope["type"] != "http" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
        elif self.under_way >= self.limits.requests:
            reason = f"{self.under_way} requests are under way, which is the limit; try again in a moment."
            await _try_again(reason)(scope, receive, send)
        else:
            await self._within_time(scope, receive, send)

    async def _within_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application until it answers, time is up or the client leaves."""
        answering, whole = False, anyio.Event()

        async def watched_send(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                whole.set()
            return message

        async def end_with_the_client(work: anyio.CancelScope) -> None:
            await whole.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            work.cancel()

        self.under_way += 1
        try:
            with anyio.move_on_after(self.limits.seconds) as timer:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(end_with_the_client, tasks.cancel_scope)
                    await self.app(scope, watched_receive, watched_send)
                    tasks.cancel_scope.cancel()
        finally:
            self.under_way -= 1
        if timer.cancelled_caught and not answering:
            await _try_again(self.limits.too_late)(scope, receive, send)


def _try_again(reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, 503, {"retry-after": "1"})
