"""Accept connections, of which one address holds at most a share."""

import asyncio
import logging
import socket

from aiohttp import web

from ..errors import EmoNetError
from .exchange import SLACK, refusal
from .front import Front
from .shares import Full, Shares, owner


class Listener(web.Server):
    """Give every connection to the front, and close those that are one too many.

    A request's head that takes over `SLACK` seconds ends its connection.
    """

    def __init__(self, front: Front):
        super().__init__(front, handler_cancellation=True)
        self._front, self._loop_of_connections = front, asyncio.get_running_loop()
        total = max(64, file_limit() - 256)
        self._shares = Shares(total, max(16, total // 4), "connections are open")
        self._owners: dict[web.RequestHandler, str] = {}

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, self._front, loop=self._loop_of_connections)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection to its address, or close it."""
        super().connection_made(handler, transport)
        address = owner((transport.get_extra_info("peername") or ("",))[0])
        try:
            self._shares.take(address)
            self._owners[handler] = address
        except Full:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Free the connection's part of the share."""
        super().connection_lost(handler, exc)
        if address := self._owners.pop(handler, None):
            self._shares.give(address)


class _Connection(web.RequestHandler):
    """A connection that refuses what is not HTTP as the front refuses requests."""

    def __init__(self, listener: Listener, front: Front, loop: asyncio.AbstractEventLoop):
        # Requests are not logged, nor is what is not HTTP: the fault is the sender's.
        silent = logging.Logger("requests", logging.CRITICAL)
        super().__init__(
            listener,
            loop=loop,
            keepalive_timeout=SLACK,
            lingering_time=1.0,
            auto_decompress=False,
            access_log=silent,
            logger=silent,
        )
        self._headers = front.headers

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the refusal of a request that could not be read."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response has begun")
        return refusal(status, "The request is not valid HTTP.", self._headers)


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that has the port and does not listen yet.

    Raises:
        EmoNetError: If the port is taken, or the host is not of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise EmoNetError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port or --host."
        ) from error
    return listening


def file_limit() -> int:
    """Return how many files, connections included, this process may have open."""
    try:
        import resource
    except ImportError:  # on Windows
        return 2**16
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 2**16)


def raise_file_limit() -> None:
    """Allow as many open files as the system permits: every connection is one."""
    try:
        import resource
    except ImportError:  # on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
