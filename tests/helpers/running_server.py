"""`emonet serve` in a process of its own, on a free port of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


@contextmanager
def running_server(model: Path, *options: str) -> Iterator["RunningServer"]:
    """Started, ready, and stopped at the end with all its workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "emonet.cli.main",
        "serve",
        "--model",
        str(model),
        "--port",
        str(port),
        *options,
    ]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        server = RunningServer(process.pid, port)
        workers: list[Any] = []
        try:
            server.wait()
            yield server
        finally:
            workers = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            _, left = psutil.wait_procs(workers, timeout=30)
            for worker in left:
                worker.kill()


class RunningServer:
    """Its address and its worker processes."""

    def __init__(self, pid: int, port: int):
        self.pid, self.url = pid, f"http://127.0.0.1:{port}"

    def wait(self, seconds: float = 180) -> None:
        """Until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/v1/health", timeout=seconds):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def workers(self) -> set[int]:
        """Process ids of the workers."""
        alive = [
            child for child in psutil.Process(self.pid).children() if child.status() != psutil.STATUS_ZOMBIE
        ]
        return {child.pid for child in alive if "spawn_main" in " ".join(child.cmdline())}
