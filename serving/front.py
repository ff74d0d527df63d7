"""The front: takes requests from anybody at a fair share, hands whole ones to workers,
and sends back what they answer.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import aiohttp
import anyio
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from .limits import PREFIX, Limits
from .shares import Full, Shares, owner
from .workers import Worker, Workers

logger = logging.getLogger("emonet.serving")

SLACK = 5.0  # seconds that a request's head may take, and its body and the taking of the answer beyond RATE
RATE = 32 * 1024  # bytes a second, which a body must come with and an answer be taken with
BODIES = 128  # full bodies, of all requests together, that are held in memory
LAST_CALL = 2.0  # seconds in which a stopping server still refuses in words
HEALTH = f"{PREFIX}health"
ENDLESS = "/heartbeat/"  # of the page: open as long as its visitor is there, so nobody waits for its end

Network = IPv4Network | IPv6Network
# Of one connection alone (RFC 9110, 7.6.1), or written anew here.
_OF_A_CONNECTION = (
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade", "Expect",
)  # fmt: skip
_OF_PROXIES = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Real-Ip",
)


class Refused(Exception):
    """A request is answered with a reason alone."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


class Gone(Exception):
    """The client takes nothing any more, or too slowly."""


class Front:
    """Answers requests through workers.

    Args:
        workers: Who computes. limits: What a request may cost. proxies: Networks whose
            word for a client's address is believed.
    """

    def __init__(self, workers: Workers, limits: Limits, proxies: Sequence[Network] = ()):
        self.workers, self.limits, self.proxies = workers, limits, proxies
        places = limits.requests * len(workers.applications)
        each = limits.per_address or max(1, places // 4)
        # Health is asked for by who decides on the server's life, and the page holds
        # connections open.
        self._places = {
            name: Shares(places, each, "requests are under way") for name in ("json", "health", "page")
        }
        self._bodies = Shares(BODIES * limits.body, BODIES * limits.body // 4, "bytes of requests are held")
        self._under_way: dict[anyio.CancelScope, bool] = {}  # and whether its end is waited for
        self.stopping = False

    async def stop(self, seconds: float, connected: Callable[[], object]) -> None:
        """Take nothing new, and wait for what is under way; what has no answer by then is
        refused.

        While somebody is `connected`, their requests may be on the way, and are refused
        in words.
        """
        self.stopping = True
        clock = asyncio.get_running_loop().time
        began = clock()
        while (any(self._under_way.values()) and clock() < began + seconds) or (
            connected() and clock() < began + LAST_CALL
        ):
            await asyncio.sleep(0.02)
        for timer in self._under_way:
            timer.cancel()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        client = self.client_of(request)
        exchange = _Exchange(request)
        try:
            await self._answer(exchange, client)
        except Refused as refused:
            await exchange.refuse(refused.status, str(refused))
        except Full as full:
            await exchange.refuse(503, str(full))
        except Gone:
            exchange.abort()
        except Exception as error:
            logger.error("A request failed in the front", exc_info=error)
            await exchange.refuse(500, "The server failed at this request; its log says why.")
        return exchange.response or web.Response(status=500)

    def client_of(self, request: web.BaseRequest) -> str:
        """The address that a request counts to: who connected, or whom the proxies in
        between name last.
        """
        named = [
            name.strip() for line in request.headers.getall("X-Forwarded-For", []) for name in line.split(",")
        ]
        address = request.remote or ""
        while named and self._is_proxy(address):
            address = named.pop()
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self.proxies)

    async def _answer(self, exchange: "_Exchange", client: str) -> None:
        """Within the limits of time and number; Refused, Full or Gone otherwise."""
        if self.stopping:
            raise Refused(503, "The server is stopping; try again in a moment.")
        request, address = exchange.request, owner(client)
        is_json = request.path.startswith(PREFIX)
        places = self._places["health" if request.path == HEALTH else "json" if is_json else "page"]
        places.take(address)
        seconds = self.limits.seconds if is_json else math.inf
        timer = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        self._under_way[timer] = ENDLESS not in request.path
        held = _Held(self._bodies, address)
        try:
            with timer:
                body = await self._body(request, held)
                if is_json:
                    answer = await self._computed(request, body, client)
                else:
                    await self._relayed(exchange, body, client)
            if timer.cancelled_caught:
                raise Gone if exchange.response else Refused(503, self._too_late())
            if is_json:
                await exchange.send(answer)
        finally:
            held.give()
            del self._under_way[timer]
            places.give(address)

    def _too_late(self) -> str:
        if self.stopping:
            return "The server is stopping; try again in a moment."
        return f"No answer within {self.limits.seconds:g} seconds, which is the limit; send fewer turns, or try again later."

    async def _body(self, request: web.BaseRequest, held: "_Held") -> bytes:
        """The whole body, which must come at a rate."""
        if (request.content_length or 0) > self.limits.body:
            raise Refused(413, self.limits.too_large)
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
                    408, f"The body comes slower than {RATE // 1024} KiB a second, which is the least."
                )
            if not part:
                return b"".join(parts)
            parts.append(part)
            held.take(len(part))
            if held.amount > self.limits.body:
                raise Refused(413, self.limits.too_large)

    async def _computed(self, request: web.BaseRequest, body: bytes, client: str) -> web.Response:
        """The whole answer of a worker; of another one, if the first is no more before it
        has answered.
        """
        worker = None
        for _ in range(2):
            worker = await self.workers.free(page=False, but=worker)
            worker.under_way += 1
            try:
                async with self._asked(worker, request, body, client) as answer:
                    content = await answer.read()
                return web.Response(body=content, status=answer.status, headers=_passed_on(answer.headers))
            except aiohttp.ClientError:
                continue
            finally:
                worker.under_way -= 1
        raise Refused(503, "The workers that had this request ended; try again in a moment.")

    async def _relayed(self, exchange: "_Exchange", body: bytes, client: str) -> None:
        """What the page's worker answers, as it comes. (Its requests change things, so
        none is made twice.)
        """
        worker = await self.workers.free(page=True)
        worker.under_way += 1
        try:
            async with self._asked(worker, exchange.request, body, client) as answer:
                headers = _passed_on(answer.headers)
                await exchange.begin(
                    web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
                )
                async for part in answer.content.iter_any():
                    await exchange.write(part)
                await exchange.end()
        except aiohttp.ClientError:
            if exchange.response:
                raise Gone from None
            raise Refused(503, "The worker that had this request ended; try again in a moment.") from None
        finally:
            worker.under_way -= 1

    def _asked(self, worker: Worker, request: web.BaseRequest, body: bytes, client: str) -> Any:
        headers = _passed_on(request.headers)
        scheme = (
            request.headers.get("X-Forwarded-Proto", "http")
            if self._is_proxy(request.remote or "")
            else "http"
        )
        for name in _OF_PROXIES:
            if name != "X-Forwarded-Host" or not self._is_proxy(request.remote or ""):
                headers.popall(name, None)
        headers["X-Forwarded-For"], headers["X-Forwarded-Proto"] = client, scheme
        headers.popall("Content-Length", None)
        target = URL.build(
            scheme="http",
            host="worker",
            path=request.rel_url.raw_path or "/",
            query_string=request.rel_url.raw_query_string,
            encoded=True,
        )
        return worker.session.request(
            request.method, target, data=body or None, headers=headers, allow_redirects=False
        )


class _Held:
    """What one request holds of the memory for bodies."""

    def __init__(self, shares: Shares, address: str):
        self.shares, self.address, self.amount = shares, address, 0

    def take(self, amount: int) -> None:
        self.shares.take(self.address, amount)
        self.amount += amount

    def give(self) -> None:
        self.shares.give(self.address, self.amount)
        self.amount = 0


class _Exchange:
    """A request and its response, which must be taken at a rate.

    Attributes:
        response: What has begun to be sent.
    """

    def __init__(self, request: web.BaseRequest):
        self.request = request
        self.response: web.StreamResponse | None = None
        if request.transport is not None:
            request.transport.set_write_buffer_limits(0)  # so that a write ends when the client's side has it

    async def begin(self, response: web.StreamResponse) -> None:
        response.headers["Server"] = "emonet"
        self.response = response
        await self._taken(response.prepare(self.request), 0)

    async def write(self, part: bytes) -> None:
        assert self.response is not None
        await self._taken(self.response.write(part), len(part))

    async def end(self) -> None:
        assert self.response is not None
        await self._taken(self.response.write_eof(), 0)

    async def send(self, response: web.Response) -> None:
        """A whole response."""
        await self.begin(response)
        await self._taken(response.write_eof(), len(response.body or b""))  # type: ignore[arg-type]

    async def refuse(self, status: int, reason: str) -> None:
        """A reason instead of an answer, if none has begun; then the connection ends."""
        if self.response is not None:
            self.abort()
            return
        headers = {"Retry-After": "1"} if status == 503 else {}
        response = web.Response(
            text=json.dumps({"detail": reason}),
            status=status,
            headers=headers,
            content_type="application/json",
        )
        response.force_close()
        try:
            await self.send(response)
        except Gone:
            self.abort()

    def abort(self) -> None:
        """End the connection in the midst of it."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def _taken(self, writing: Any, size: int) -> None:
        try:
            with anyio.fail_after(SLACK + size / RATE):
                await writing
        except (TimeoutError, ConnectionError):
            raise Gone from None


def _passed_on(headers: Any) -> CIMultiDict[str]:
    """The headers that are for the other end."""
    named = [name.strip() for line in headers.getall("Connection", []) for name in line.split(",")]
    passed = CIMultiDict(headers)
    for name in (*_OF_A_CONNECTION, *named):
        passed.popall(name, None)
    return passed
