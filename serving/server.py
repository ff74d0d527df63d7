"""`emonet serve`: one process that listens, and workers behind it that hold the model and
are replaced when they die.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from ..errors import EmoNetError
from .access import Access
from .front import SLACK, Front, Network
from .limits import PREFIX, LimitRequests, Limits
from .log_lines import write_log_lines
from .shares import Full, Shares, owner
from .workers import Workers

logger = logging.getLogger("emonet.serving")

GRACE = 60.0
SILENCE = 30.0


def create_app(model: str | Path, limits: Limits, page: bool = True, access: Access | None = None) -> Any:
    """The application: the page under `/`, the endpoint under `/v1/`, its schema under
    `/openapi.json` and `/docs`.
    """
    from .api import create_api
    from .predictor import Predictor

    access = access or Access()
    predictor = Predictor.load(model)
    app = create_api(predictor, limits)
    if page:
        from .page import mount_page

        app = mount_page(app, predictor, limits, access)
    return access.around(LimitRequests(app, limits, PREFIX))


def serve(
    model: str | Path,
    host: str = "127.0.0.1",
    port: int = 7860,
    workers: int = 1,
    limits: Limits | None = None,
    page: bool = True,
    login: str | None = None,
    frames: tuple[str, ...] = (),
    grace: float = GRACE,
    silence: float = SILENCE,
    proxies: Sequence[Network] = (),
) -> None:
    """Serve a checkpoint until the process is told to stop (SIGTERM, Ctrl+C).

    Nothing listens before the first worker has the model. The page lives in that worker;
    all of them answer `/v1/`.

    Args:
        workers: Processes with a model of their own.
        limits: What a request may cost.
        grace: Seconds that requests under way get at the end; the rest is answered with
            503.
        silence: Seconds without an answer after which a worker is killed and replaced.
        proxies: Networks whose `X-Forwarded-For` says whose share a request counts to.
        login: `NAME:PASSWORD` that page and endpoint ask for; by default they ask nobody.
        frames: Origins whose pages may show the page in a frame.

    Raises:
        EmoNetError: if the port is taken, the checkpoint can't be served, or a worker
            does not start in three tries.
    """
    if sys.platform == "win32":
        raise EmoNetError(
            "emonet serve needs Unix sockets, which Python lacks on Windows: use WSL, or serve `create_app` by uvicorn."
        )
    limits = limits or Limits()
    access = Access(login, host, frames)
    write_log_lines()
    access.warn()
    # The front counts requests; a worker that takes over another's may get more than its
    # part.
    theirs = replace(limits, requests=limits.requests * workers)
    serve_applications(
        [partial(create_app, model, theirs, page and number == 0, access) for number in range(workers)],
        host,
        port,
        limits,
        page=page,
        grace=grace,
        silence=silence,
        proxies=proxies,
    )


def serve_applications(
    applications: Sequence[Callable[[], Any]],
    host: str,
    port: int,
    limits: Limits,
    page: bool = False,
    grace: float = GRACE,
    silence: float = SILENCE,
    proxies: Sequence[Network] = (),
) -> None:
    """Serve an ASGI application in each worker, made there by what is given for it; see
    `serve`.
    """
    write_log_lines()
    raise_file_limit()
    listening = _bound(host, port)
    try:
        asyncio.run(_serve(listening, applications, page, limits, grace, silence, proxies))
    finally:
        listening.close()


async def _serve(
    listening: socket.socket,
    applications: Sequence[Callable[[], Any]],
    page: bool,
    limits: Limits,
    grace: float,
    silence: float,
    proxies: Sequence[Network],
) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    stop: asyncio.Future[Any] = asyncio.ensure_future(told.wait())
    workers = Workers(applications, page, silence)
    try:
        start: asyncio.Future[Any] = asyncio.ensure_future(workers.start())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            return
        await start
        front = Front(workers, limits, proxies)
        listener = Listener(front)
        server = await asyncio.get_running_loop().create_server(listener, sock=listening, backlog=2048)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        logger.info("emonet is running on http://%s:%d (Ctrl+C ends it)", shown, port)
        await asyncio.wait([stop, workers.failed], return_when=asyncio.FIRST_COMPLETED)
        logger.info("emonet is stopping")
        await asyncio.sleep(0.05)  # takes the connections that are waiting
        server.close()
        await front.stop(grace, lambda: listener.connections)
        listener.pre_shutdown()
        await asyncio.sleep(0.1)  # for the last answers
        await listener.shutdown(1)
        if workers.failed.done():
            raise EmoNetError(workers.failed.result())
    finally:
        await workers.stop()


class Listener(web.Server):
    """Connections, of which one address may hold a share.

    A head that takes too long ends its connection, the first of it as any later one.
    """

    def __init__(self, front: Front):
        super().__init__(
            front,
            handler_cancellation=True,
            keepalive_timeout=SLACK,
            lingering_time=1.0,
            auto_decompress=False,
            access_log=None,
            logger=logging.Logger("requests", logging.CRITICAL),  # what is no HTTP is its sender's concern
        )
        whole = max(64, file_limit() - 256)
        self._shares = Shares(whole, max(16, whole // 4), "connections are open")
        self._owners: dict[web.RequestHandler, str] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or end it."""
        super().connection_made(handler, transport)
        address = owner((transport.get_extra_info("peername") or ("",))[0])
        try:
            self._shares.take(address)
            self._owners[handler] = address
        except Full:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Give its place back."""
        super().connection_lost(handler, exc)
        if address := self._owners.pop(handler, None):
            self._shares.give(address)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen yet."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise EmoNetError(
            f"{host}:{port} can't be listened on: {error.strerror or error}. Choose another --port or --host."
        ) from error
    return listening


def file_limit() -> int:
    """How many files, connections among them, this process may have open."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 2**16
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 2**16)


def raise_file_limit() -> None:
    """A connection is a file: allow as many as the system lets this user have."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
