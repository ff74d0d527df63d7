"""Run `emonet serve`: one process listens, and workers behind it hold the model."""

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

from starlette.types import ASGIApp

from ..constants import AUTO
from ..errors import EmoNetError
from .access import Access
from .front import Front, Network
from .limits import PREFIX, LimitRequests, Limits
from .listener import Listener, bound_socket, raise_file_limit
from .log_lines import write_log_lines
from .workers import Workers

logger = logging.getLogger("emonet.serving")

GRACE = 60.0
SILENCE = 30.0


def create_app(
    model: str | Path,
    limits: Limits,
    page: bool = True,
    access: Access | None = None,
    dtype: str = AUTO,
) -> ASGIApp:
    """Create the ASGI application, with its limits, login and headers.

    The page is under `/`, the endpoint under `/v1/`, its schema under `/openapi.json` and
    `/docs`.

    Args:
        model: A run folder, an adapter folder or a Hub id.
        limits: What a request may cost.
        page: Whether there is a page.
        access: Who may use it; everyone by default.
        dtype: What the model computes in, see [`computing_in`].
    """
    from .api import create_api
    from .predictor import Predictor

    access = access or Access()
    predictor = Predictor.load(model, dtype)
    app = create_api(predictor, limits)
    if page:
        from .page.model_card import ModelCard
        from .page.mount import mount_page

        app = mount_page(app, predictor, limits, access, ModelCard.of(model))
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
    dtype: str = AUTO,
) -> None:
    """Serve a checkpoint until the process is told to stop (SIGTERM, Ctrl+C).

    Nothing listens before the first worker has the model. The page runs in that worker;
    all of them answer `/v1/`.

    Args:
        model: A run folder, an adapter folder or a Hub id.
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        workers: Processes with a model of their own.
        limits: What a request may cost.
        page: Whether there is a page.
        login: `NAME:PASSWORD` that page and endpoint require; None for no login.
        frames: Origins whose pages may show the page in a frame.
        grace: Seconds for the requests under way at a stop; then they get 503.
        silence: Seconds without an answer after which a worker is killed and replaced.
        proxies: Networks whose `X-Forwarded-For` says whose share a request counts to.
        dtype: What the model computes in, see [`computing_in`].

    Raises:
        EmoNetError: If the port is taken, the checkpoint can't be served, or a worker
            does not start in three tries.
    """
    if sys.platform == "win32":
        raise EmoNetError(
            "emonet serve needs Unix sockets, which Python lacks on Windows: "
            "use WSL, or serve `create_app` by uvicorn."
        )
    limits = limits or Limits()
    access = Access(login, host, frames)
    # The front counts requests. A worker that takes over another's may get more than its
    # part of them.
    worker_limits = replace(limits, requests=limits.requests * workers)
    applications = [
        partial(create_app, model, worker_limits, page and index == 0, access, dtype)
        for index in range(workers)
    ]
    serve_applications(
        applications, host, port, limits, page, grace=grace, silence=silence, proxies=proxies, access=access
    )


def serve_applications(
    applications: Sequence[Callable[[], ASGIApp]],
    host: str,
    port: int,
    limits: Limits,
    page: bool = False,
    *,
    grace: float = GRACE,
    silence: float = SILENCE,
    proxies: Sequence[Network] = (),
    access: Access | None = None,
) -> None:
    """Serve ASGI applications, each in a worker of its own.

    Args:
        applications: Called in the workers to create each one's application.
        host, port, limits, page, grace, silence, proxies: See `serve`.
        access: Whose warning is logged, and whose headers the front's own answers carry.
    """
    access = access or Access(host=host)
    write_log_lines()
    access.warn()
    raise_file_limit()
    listening = bound_socket(host, port)
    try:
        asyncio.run(_serve(listening, applications, page, limits, grace, silence, proxies, access))
    finally:
        listening.close()


async def _serve(
    listening: socket.socket,
    applications: Sequence[Callable[[], ASGIApp]],
    page: bool,
    limits: Limits,
    grace: float,
    silence: float,
    proxies: Sequence[Network],
    access: Access,
) -> None:
    stop_signal = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop_signal.set)
    stop: asyncio.Future[Any] = asyncio.ensure_future(stop_signal.wait())
    workers = Workers(applications, page, silence)
    try:
        start: asyncio.Future[Any] = asyncio.ensure_future(workers.start())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            return
        await start
        front = Front(workers, limits, proxies, access.headers)
        listener = Listener(front)
        server = await asyncio.get_running_loop().create_server(listener, sock=listening, backlog=2048)
        host, port = listening.getsockname()[:2]
        url_host = f"[{host}]" if ":" in host else host
        logger.info("emonet is running on http://%s:%d (Ctrl+C ends it)", url_host, port)
        ends: set[asyncio.Future[Any]] = {stop, workers.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        logger.info("emonet is stopping")
        await asyncio.sleep(0.05)  # accept the connections that are waiting
        server.close()
        await front.stop(grace, lambda: listener.connections)
        listener.pre_shutdown()
        await asyncio.sleep(0.1)  # send the last answers
        await listener.shutdown(1)
        if workers.failed.done():
            raise EmoNetError(workers.failed.result())
    finally:
        await workers.stop()
