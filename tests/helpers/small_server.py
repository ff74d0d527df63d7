"""Run the server with a small application that waits, hangs and fails on request.

    python small_server.py PORT OPTIONS

OPTIONS is a JSON object with `workers`, `start` (how a worker starts: "well", "wrong" or
"dead"), `limits`, `access`, `proxies`, and other arguments of `serve_applications`.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp

from emonet.errors import EmoNetError
from emonet.serving.access import Access
from emonet.serving.limits import Limits
from emonet.serving.server import serve_applications


def application(start: str, access: Access) -> ASGIApp:
    """Create an application that answers with its process and the client's address.

    The query `wait=SECONDS` delays the answer. `once=FILE` ends the process if there is
    no such file yet, or with `hang` blocks its event loop.
    """
    if start == "wrong":
        raise RuntimeError("no such checkpoint")
    if start == "dead":
        os._exit(3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        if "once" in query and not os.path.exists(query["once"]):  # in the first worker only
            open(query["once"], "w").close()
            if "hang" in query:
                time.sleep(600)  # the event loop, not this request alone
            os._exit(9)
        await asyncio.sleep(float(query.get("wait", 0)))
        body = json.dumps(
            {"process": os.getpid(), "client": (scope["client"] or [""])[0], "path": scope["path"]}
        ).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return access.around(app)


@contextmanager
def small_server(workers: int = 1, wait: bool = True, **options: Any) -> Iterator["SmallServer"]:
    """Start it, wait until it answers unless told not to `wait`, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = json.dumps({"workers": workers, **options})
    command = [sys.executable, __file__, str(port), arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        server = SmallServer(process, port)
        try:
            if wait:
                server.wait()
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


class SmallServer:
    """The server's address and its process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int):
        self.process, self.port, self.url = process, port, f"http://127.0.0.1:{port}"

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("/v1/health")
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None
                time.sleep(0.1)

    def ask(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """Return the answer to GET, read as JSON."""
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, headers=headers or {}), timeout=60
        ) as answer:
            return json.load(answer)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Connect from an address of this machine."""
        return socket.create_connection(("127.0.0.1", self.port), 60, (source, 0))

    def end(self) -> tuple[int, str]:
        """Wait for its end and return exit status and standard error."""
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log.decode()


def main() -> None:
    """Serve until a signal stops it."""
    port, options = int(sys.argv[1]), json.loads(sys.argv[2])
    access = Access(**options.pop("access", {}))
    create = partial(application, options.pop("start", "well"), access)
    proxies = [ip_network(name) for name in options.pop("proxies", [])]
    applications = [create] * options.pop("workers")
    try:
        limits = Limits(**options.pop("limits", {}))
        serve_applications(applications, "127.0.0.1", port, limits, proxies=proxies, access=access, **options)
    except EmoNetError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
