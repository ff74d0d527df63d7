"""Exchange one request for one response with a client that must keep up a rate."""

import json
from collections.abc import Awaitable, Mapping

import anyio
from aiohttp import web

from .limits import Limits
from .shares import Shares

SLACK = 5.0  # seconds for a request's head, and beyond RATE for its body and the answer
RATE = 32 * 1024  # bytes a second at which a body must arrive and an answer be read


class Refused(Exception):
    """The answer to a request is a reason alone."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


class Gone(Exception):
    """The client reads nothing any more, or too slowly."""


class HeldMemory:
    """The memory that the body of one request holds."""

    def __init__(self, shares: Shares, address: str):
        self.shares, self.address, self.amount = shares, address, 0

    def take(self, amount: int) -> None:
        """Hold more; raise `Full` if that is too much."""
        self.shares.take(self.address, amount)
        self.amount += amount

    def give_all(self) -> None:
        """Give all of it back."""
        self.shares.give(self.address, self.amount)
        self.amount = 0


class Exchange:
    """A request and its response.

    Args:
        request: What the client asks for.
        headers: Headers of a refusal.

    Attributes:
        response: The response, once its sending has begun.
    """

    def __init__(self, request: web.BaseRequest, headers: Mapping[str, str]):
        self.request, self.headers = request, headers
        self.response: web.StreamResponse | None = None
        if request.transport is not None:
            # A write then ends when the client has the bytes, so its rate is measured.
            request.transport.set_write_buffer_limits(0)

    async def body(self, held: HeldMemory, limits: Limits) -> bytes:
        """Read the whole body.

        Raises:
            Refused: If the body is too large or too slow.
            Full: If there is no memory for it.
        """
        request = self.request
        if (request.content_length or 0) > limits.body:
            raise Refused(413, limits.too_large)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        parts: list[bytes] = []
        began = anyio.current_time()
        while True:
            with anyio.CancelScope(deadline=began + SLACK + held.amount / RATE) as patience:
                part = await request.content.readany()
            if patience.cancelled_caught:
                raise Refused(
                    408, f"The body arrives at less than {RATE // 1024} KiB a second, which is the minimum."
                )
            if not part:
                return b"".join(parts)
            parts.append(part)
            held.take(len(part))
            if held.amount > limits.body:
                raise Refused(413, limits.too_large)

    async def begin(self, response: web.StreamResponse) -> None:
        """Send the head of a response."""
        response.headers["Server"] = "emonet"
        self.response = response
        await self._read_by_client(response.prepare(self.request), 0)

    async def write(self, part: bytes) -> None:
        """Send a part of the response's body."""
        assert self.response is not None
        await self._read_by_client(self.response.write(part), len(part))

    async def end(self) -> None:
        """End the response."""
        assert self.response is not None
        await self._read_by_client(self.response.write_eof(), 0)

    async def send(self, response: web.Response) -> None:
        """Send a whole response."""
        await self.begin(response)
        size = len(response.body) if isinstance(response.body, bytes) else 0
        await self._read_by_client(response.write_eof(), size)

    async def refuse(self, status: int, reason: str) -> None:
        """Send a reason instead of an answer, and close the connection.

        A response that has begun is cut off instead.
        """
        if self.response is not None:
            self.abort()
            return
        try:
            await self.send(refusal(status, reason, self.headers))
        except Gone:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def _read_by_client(self, writing: Awaitable[object], size: int) -> None:
        try:
            with anyio.fail_after(SLACK + size / RATE):
                await writing
        except (TimeoutError, ConnectionError):
            raise Gone from None


def refusal(status: int, reason: str, headers: Mapping[str, str]) -> web.Response:
    """Return a response that holds a reason, and closes the connection."""
    response = web.Response(
        text=json.dumps({"detail": reason}),
        status=status,
        headers={**headers, **({"Retry-After": "1"} if status == 503 else {}), "Server": "emonet"},
        content_type="application/json",
    )
    response.force_close()
    return response
