"""What one request may cost, kept for every request before the application sees it."""

from dataclasses import dataclass

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1/"  # of the JSON endpoint


@dataclass(frozen=True)
class Limits:
    """Bounds on requests.

    Attributes:
        body: Bytes of a request's body, uploaded files included.
        turns: Turns of a script; a request of the JSON endpoint counts its history too.
        seconds: Time of a JSON request, from its first byte to the answer, waiting for
            others included.
        page_seconds: Time of a script on the page, which shows its progress and can be
            cancelled.
        requests: JSON requests under way at a time for each worker, computed or waiting;
            as many of the page.
        per_address: How many of them one address may have; a quarter of all if None.
    """

    body: int = 2 * 2**20
    turns: int = 5000
    seconds: float = 60.0
    page_seconds: float = 600.0
    requests: int = 1024
    per_address: int | None = None

    @property
    def too_large(self) -> str:
        """What is said of a large body."""
        return f"The body is larger than {self.body} bytes, which is the limit."


class LimitRequests:
    """Around an ASGI application: 413 for a body that is said to be too large; under
    `prefix` 503 for one too many or too slow.

    (FastAPI's `max_body_size` counts what comes, but its word for a large declared length
    is no JSON.)
    """

    def __init__(self, app: ASGIApp, limits: Limits, prefix: str):
        self.app, self.limits, self.prefix = app, limits, prefix
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI calls it."""
        declared = dict(scope.get("headers", ())).get(b"content-length", b"")
        if scope["type"] == "http" and declared.isdigit() and int(declared[:20]) > self.limits.body:
            await JSONResponse({"detail": self.limits.too_large}, 413, {"connection": "close"})(
                scope, receive, send
            )
            return
        if scope["type"] != "http" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        if self.under_way >= self.limits.requests:
            reason = f"{self.under_way} requests are under way, which is the limit; try again in a moment."
            await _try_again(reason)(scope, receive, send)
            return
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
            work.cancel()  # nobody waits for the answer

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
            reason = f"No answer within {self.limits.seconds:g} seconds, which is the limit; send fewer turns, or try again later."
            await _try_again(reason)(scope, receive, send)


def _try_again(reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, 503, {"retry-after": "1"})
