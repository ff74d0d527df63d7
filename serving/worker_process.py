"""Run one worker: load the application and answer the front through a Unix socket."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import uvicorn
from starlette.types import ASGIApp
from tqdm import tqdm

from ..errors import EmoNetError
from .log_lines import quiet_libraries, write_log_lines

READY, REFUSED, FAILED = "ready", "refused", "failed"  # REFUSED: so it would be at every try
SECONDS_TO_END = 5  # after the front has ended


def run(create: Callable[[], ASGIApp], address: str, front: Connection) -> None:
    """Serve an application until the front ends or closes its end of the pipe.

    Args:
        create: Creates the application.
        address: Path of the Unix socket to listen on.
        front: A pipe. The first message to the front is READY, or REFUSED or FAILED with
            the reason.
    """
    write_log_lines()
    # The default lock is a semaphore of the system, which a killed process leaves behind.
    tqdm.set_lock(threading.RLock())
    servers: list[uvicorn.Server] = []
    threading.Thread(target=_end_with, args=(front, servers), daemon=True).start()
    try:
        application = create()
    except EmoNetError as error:
        front.send((REFUSED, str(error)))
        return
    except ModuleNotFoundError as error:
        front.send((REFUSED, f"emonet serve needs {error.name}: pip install 'emonet[demo]'."))
        return
    except Exception as error:
        front.send((FAILED, f"{type(error).__name__}: {error}"))
        return
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(2048)
        config = uvicorn.Config(
            application,
            proxy_headers=True,
            forwarded_allow_ips="*",  # only the front can reach the socket
            timeout_graceful_shutdown=1,  # the front has waited already
            timeout_keep_alive=3600,  # the front closes idle connections
            server_header=False,
            date_header=False,
            access_log=False,
            log_config=None,
        )
        server = uvicorn.Server(config)
        servers.append(server)
        quiet_libraries()
        front.send((READY, ""))
        server.run(sockets=[listening])
    os._exit(0)  # without waiting for threads whose answer nobody wants


def _end_with(front: Connection, servers: list[uvicorn.Server]) -> None:
    with suppress(EOFError, OSError):
        front.recv()
    logging.disable()  # the front has refused what is cut off now
    for server in servers:
        server.should_exit = True
        time.sleep(SECONDS_TO_END)
    os._exit(0)
