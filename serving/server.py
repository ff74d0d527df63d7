"""The page and the endpoint in worker processes that are replaced when they die."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from ..errors import EmoNetError
from .access import Access
from .limits import LimitRequests, Limits

HEALTH_SECONDS = 60  # a worker that does not even answer its supervisor for so long hangs, and is replaced


def create_app(model: str | Path, limits: Limits, page: bool = True, access: Access | None = None) -> Any:
    """The application: the page under `/`, the endpoint under `/v1/`, its schema under `/openapi.json` and `/docs`."""
    access = access or Access()
    from .api import PREFIX, create_api
    from .predictor import Predictor

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
) -> None:
    """Serve a checkpoint until the process is told to stop.

    The supervisor holds the socket: while a worker that died is replaced, connections wait and none is refused.

    Args:
        login: `NAME:PASSWORD` that page and endpoint ask for; by default they ask nobody.
        frames: Origins whose pages may show the page in a frame.

    Raises:
        EmoNetError: for several workers with the page, whose visitors must stay with the process that knows them.
    """
    if page and workers > 1:
        raise EmoNetError(
            "The page keeps its visitors in one process: give --workers 1, or --no-page for JSON alone."
        )
    access = Access(login, host, frames)
    application: Callable[[], Any] = partial(create_app, model, limits or Limits(), page, access)
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]
        factory=True,
        host=host,
        port=port,
        workers=workers,
        backlog=2048,
        timeout_worker_healthcheck=HEALTH_SECONDS,
        timeout_graceful_shutdown=5,
        access_log=False,
    )
    raise_file_limit()
    access.warn()
    socket = config.bind_socket()
    try:
        Multiprocess(config, sockets=[socket]).run()
    finally:
        socket.close()


def raise_file_limit() -> None:
    """A connection is a file: allow as many as the system lets this user have."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
