"""Take requests at a fair share, hand them to workers, and send the answers back."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Network, IPv6Network, ip_address

import aiohttp
import anyio
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .exchange import Exchange, Gone, HeldMemory, Refused
from .limits import HEALTH, PREFIX, Limits
from .shares import Full, Shares, owner
from .workers import Worker, Workers

logger = logging.getLogger("emonet.serving")

BODIES = 128  # full bodies, of all requests together, that are held in memory
LAST_CALL = 2.0  # seconds in which a stopping server still refuses with a reason
# The page keeps this request open while its visitor is there: a stop does not wait.
ENDLESS = "/heartbeat/"
STOPPING = "The server is stopping; try again in a moment."

Network = IPv4Network | IPv6Network
# Headers of one connection alone (RFC 9110, 7.6.1), or written anew here.
_PER_CONNECTION = (
    *("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection"),
    *("TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect"),
)
_FORWARDED_HOST = "X-Forwarded-Host"
_BY_PROXIES = (
    *("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip"),
    _FORWARDED_HOST,
)


class Front:
    """Answer requests through workers.

    Args:
        workers: The processes that compute.
        limits: What a request may cost.
        proxies: Networks whose `X-Forwarded-For` is believed.
        headers: Headers of the answers that no worker gives.
    """

    def __init__(
        self,
        workers: Workers,
        limits: Limits,
        proxies: Sequence[Network] = (),
        headers: Mapping[str, str] | None = None,
    ):
        self.workers, self.limits, self.proxies, self.headers = workers, limits, proxies, headers or {}
        slots = limits.requests * len(workers.applications)
        share = limits.per_address or max(1, slots // 4)
        # A supervisor must get the health check through whatever the load, and the page
        # keeps connections open: each has slots of its own.
        self._slots = {
            name: Shares(slots, share, "requests are under way") for name in ("json", "health", "page")
        }
        self._bodies = Shares(BODIES * limits.body, BODIES * limits.body // 4, "bytes of requests are held")
        self._under_way: dict[anyio.CancelScope, bool] = {}  # and whether a stop waits for it
        self.stopping = False

    async def stop(self, seconds: float, connected: Callable[[], object]) -> None:
        """Take no new requests, wait for those under way, then refuse the rest.

        Args:
            seconds: Time for the requests under way.
            connected: Returns something true while clients are connected: requests that
                they have sent already are refused with a reason.
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
        exchange = Exchange(request, self.headers)
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
        """Return the address that a request counts to.

        It is the address that connected or, behind trusted proxies, the last one that
        they name.
        """
        forwarded = [
            name.strip() for line in request.headers.getall("X-Forwarded-For", []) for name in line.split(",")
        ]
        address = request.remote or ""
        while forwarded and self._is_proxy(address):
            address = forwarded.pop()
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self.proxies)

    async def _answer(self, exchange: Exchange, client: str) -> None:
        """Answer within the limits of time and number.

        Raises:
            Refused, Full: If the request is not answered.
            Gone: If the client does not read the answer.
        """
        if self.stopping:
            raise Refused(503, STOPPING)
        request, address = exchange.request, owner(client)
        is_json = request.path.startswith(PREFIX)
        slots = self._slots["health" if request.path == HEALTH else "json" if is_json else "page"]
        slots.take(address)
        seconds = self.limits.seconds if is_json else math.inf
        timer = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        self._under_way[timer] = ENDLESS not in request.path
        held = HeldMemory(self._bodies, address)
        try:
            with timer:
                body = await exchange.body(held, self.limits)
                if is_json:
                    answer = await self._computed(request, body, client)
                else:
                    await self._relay(exchange, body, client)
            if timer.cancelled_caught:
                raise Gone if exchange.response else Refused(503, self._too_late())
            if is_json:
                await exchange.send(answer)
        finally:
            held.give_all()
            del self._under_way[timer]
            slots.give(address)

    def _too_late(self) -> str:
        return STOPPING if self.stopping else self.limits.too_late

    async def _computed(self, request: web.BaseRequest, body: bytes, client: str) -> web.Response:
        """Return the whole answer of a worker.

        If the worker ends before it has answered, another one is tried once.
        """
        worker = None
        for _ in range(2):
            worker = await self.workers.free(page=False, other_than=worker)
            worker.under_way += 1
            try:
                async with self._forward(worker, request, body, client) as answer:
                    content = await answer.read()
                return web.Response(body=content, status=answer.status, headers=_end_to_end(answer.headers))
            except aiohttp.ClientError:
                continue
            finally:
                worker.under_way -= 1
        raise Refused(503, "The workers that had this request ended; try again in a moment.")

    async def _relay(self, exchange: Exchange, body: bytes, client: str) -> None:
        """Pass on the answer of the page's worker as it arrives.

        Requests of the page change its state, so none is tried twice.
        """
        worker = await self.workers.free(page=True)
        worker.under_way += 1
        try:
            async with self._forward(worker, exchange.request, body, client) as answer:
                headers = _end_to_end(answer.headers)
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

    def _forward(
        self, worker: Worker, request: web.BaseRequest, body: bytes, client: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = _end_to_end(request.headers)
        from_proxy = self._is_proxy(request.remote or "")
        scheme = request.headers.get("X-Forwarded-Proto", "http") if from_proxy else "http"
        for name in _BY_PROXIES:
            if name != _FORWARDED_HOST or not from_proxy:
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


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return the headers without those of one connection."""
    named = [name.strip() for line in headers.getall("Connection", []) for name in line.split(",")]
    passed = CIMultiDict(headers)
    for name in (*_PER_CONNECTION, *named):
        passed.popall(name, None)
    return passed
