"""Run `emonet serve`, or a Space's app.py, in a process of its own on a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


@contextmanager
def running_server(
    model: Path, *options: str, env: Mapping[str, str] | None = None
) -> Iterator["RunningServer"]:
    """Start `emonet serve`, wait until it answers, and stop it with all its workers."""
    port = _free_port()
    arguments = ["serve", "--model", str(model), "--port", str(port), *options]
    command = [sys.executable, "-m", "emonet.cli.main", *arguments]
    with _running(command, port, {**os.environ, **(env or {})}) as server:
        yield server


@contextmanager
def running_space(folder: Path, env: Mapping[str, str] | None = None) -> Iterator["RunningServer"]:
    """Start what `write_space` wrote, with the package in it, on loopback alone."""
    port = _free_port()
    app = folder / "app.py"
    app.write_text(app.read_text().replace("7860", str(port)).replace("0.0.0.0", "127.0.0.1"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with _running([sys.executable, "app.py"], port, {**environment, **(env or {})}, folder) as server:
        yield server


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _running(
    command: list[str], port: int, env: dict[str, str], cwd: Path | None = None
) -> Iterator["RunningServer"]:
    with subprocess.Popen(command, cwd=cwd, env={**env, "OMP_NUM_THREADS": "1"}) as process:
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
    """A server's address and its worker processes."""

    def __init__(self, pid: int, port: int):
        self.pid, self.url = pid, f"http://127.0.0.1:{port}"

    def wait(self, seconds: float = 180) -> None:
        """Wait until it answers."""
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
        """Return the process ids of the workers."""
        alive = [
            child for child in psutil.Process(self.pid).children() if child.status() != psutil.STATUS_ZOMBIE
        ]
        return {child.pid for child in alive if "spawn_main" in " ".join(child.cmdline())}
