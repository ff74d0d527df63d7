"""One worker: a process that loads the application and answers what the front sends
through a Unix socket.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import uvicorn
from tqdm import tqdm

from ..errors import EmoNetError
from .log_lines import quiet_libraries, write_log_lines

READY, REFUSED, FAILED = "ready", "refused", "failed"  # REFUSED would be so at every try
LAST_WORDS = 5  # seconds to end in, after the front is gone


def run(create: Callable[[], Any], address: str, front: Connection) -> None:
    """Serve `create()` on a Unix socket at `address`, until the front closes its end of
    the pipe or is no more.

    The first message to the front says whether the application could be loaded, and why
    not.
    """
    write_log_lines()
    tqdm.set_lock(
        threading.RLock()
    )  # its own is a semaphore of the system, which a killed process would leave behind
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
            forwarded_allow_ips="*",  # the front alone gets at the socket
            timeout_graceful_shutdown=1,  # the front has waited
            timeout_keep_alive=3600,  # the front ends idle connections, or they would end under its hands
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
    os._exit(0)  # threads that compute for nobody any more hold nobody up


def _end_with(front: Connection, servers: list[uvicorn.Server]) -> None:
    with suppress(EOFError, OSError):
        front.recv()
    logging.disable()  # what is cut off now was refused by the front
    for server in servers:
        server.should_exit = True
        time.sleep(LAST_WORDS)
    os._exit(0)
