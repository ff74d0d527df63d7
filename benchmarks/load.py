"""Measure `emonet serve` under load, slow clients, and killed workers.

`python -m emonet.benchmarks.load --model RUN` prints the figures as JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import psutil

TURNS = [{"speaker": "Ann", "text": "hello, who is there?"}, {"speaker": "Bob", "text": "great, we won"}]
SLOW_HEAD = b"POST /v1/emotions HTTP/1.1\r\nHost: load\r\nContent-Length: 1000\r\n\r\n["


class Server:
    """An `emonet serve` process."""

    def __init__(self, model: str, options: Sequence[str]):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "emonet.cli.main", "serve", "--no-page", "--model", model]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options], stderr=subprocess.PIPE
        )
        self.url = f"http://127.0.0.1:{self.port}"

    async def ready(self, workers: int) -> None:
        """Wait until all workers have loaded their model."""
        async with aiohttp.ClientSession(self.url) as session:
            while True:
                try:
                    async with session.get("/v1/health") as answer:
                        if answer.status == 200 and len(self.workers()) >= workers:
                            return
                except aiohttp.ClientError:
                    if self.process.poll() is not None:
                        raise SystemExit("the server has ended") from None
                await asyncio.sleep(0.2)

    def workers(self) -> list[psutil.Process]:
        """The processes that have a model."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def memory(self) -> dict[str, float]:
        """Resident memory of the front and of the largest worker, in MiB."""
        front = psutil.Process(self.process.pid).memory_info().rss
        return {
            "front_mib": round(front / 2**20, 1),
            "worker_mib": round(max(worker.memory_info().rss for worker in self.workers()) / 2**20, 1),
        }


async def storm(
    server: Server, requests: int, at_once: int, addresses: int, statuses: Counter[str] | None = None
) -> dict[str, Any]:
    """Send requests from several addresses of this machine.

    Args:
        server: The server.
        requests: Number of requests.
        at_once: Number of concurrent requests.
        addresses: Number of addresses to send from.
        statuses: Counter to update with every answer.

    Returns:
        Throughput, response times in ms, and counts of statuses.
    """
    statuses = Counter() if statuses is None else statuses
    sessions = [
        aiohttp.ClientSession(
            server.url,
            connector=aiohttp.TCPConnector(limit=0, local_addr=(f"127.0.1.{index + 1}", 0)),
            timeout=aiohttp.ClientTimeout(total=600),
        )
        for index in range(addresses)
    ]
    times: list[float] = []
    remaining = iter(range(requests))  # shared by the clients

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in remaining:
            started = time.perf_counter()
            try:
                async with session.post("/v1/emotions", json={"inputs": TURNS}) as answer:
                    await answer.read()
                    statuses[str(answer.status)] += 1
            except aiohttp.ClientError as error:
                statuses[type(error).__name__] += 1
            times.append(1000 * (time.perf_counter() - started))

    started = time.perf_counter()
    try:
        await asyncio.gather(*(client(sessions[index % addresses]) for index in range(at_once)))
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
    seconds = time.perf_counter() - started
    times.sort()
    percentiles = {
        f"p{percent}_ms": round(times[min(len(times) - 1, len(times) * percent // 100)], 1)
        for percent in (50, 95, 99)
    }
    return {
        "requests": len(times),
        "at_once": at_once,
        "a_second": round(len(times) / seconds, 1),
        **percentiles,
        "answers": dict(statuses),
        "errors": len(times) - statuses["200"],
    }


async def slow_bodies(server: Server, clients: int, requests: int, addresses: int) -> dict[str, Any]:
    """Send many bodies slowly from one address, and time other requests meanwhile."""
    writers: list[asyncio.StreamWriter] = []
    for _ in range(clients):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(SLOW_HEAD)
        writers.append(writer)

    async def drip() -> None:
        while True:
            await asyncio.sleep(1)
            for writer in writers:
                if not writer.is_closing():
                    writer.write(b" ")

    dripping = asyncio.create_task(drip())
    health: list[float] = []
    try:
        others = asyncio.create_task(storm(server, requests, 50, addresses))
        async with aiohttp.ClientSession(server.url) as session:
            while not others.done() or len(health) < 5:
                started = time.perf_counter()
                async with session.get("/v1/health") as answer:
                    await answer.read()
                health.append(1000 * (time.perf_counter() - started))
                await asyncio.sleep(0.2)
        return {"slow_clients": clients, "health_slowest_ms": round(max(health), 1), "others": await others}
    finally:
        dripping.cancel()
        for writer in writers:
            writer.close()


async def measure(model: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all cases on one server, then stop it while requests are running."""
    server = Server(model, ["--workers", str(arguments.workers), *arguments.serve])
    log = asyncio.create_task(asyncio.to_thread(server.process.stderr.read))  # type: ignore[union-attr]
    try:
        await server.ready(arguments.workers)
        figures: dict[str, Any] = {"memory_at_first": server.memory()}
        figures["load"] = await storm(server, arguments.requests, arguments.at_once, arguments.addresses)
        figures["memory_after_load"] = server.memory()
        figures["slow_bodies"] = await slow_bodies(
            server, arguments.slow, arguments.requests // 10, arguments.addresses
        )
        killed = asyncio.create_task(
            storm(server, arguments.requests // 4, arguments.at_once // 4, arguments.addresses)
        )
        await asyncio.sleep(2)
        server.workers()[0].kill()
        figures["killed_worker"] = await killed
        await server.ready(arguments.workers)
        answers: Counter[str] = Counter()
        stopped = asyncio.create_task(
            storm(server, arguments.at_once, arguments.at_once, arguments.addresses, answers)
        )
        while answers.total() < arguments.at_once // 10:
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        started = time.perf_counter()
        figures["sigterm"] = await stopped
        status = await asyncio.to_thread(server.process.wait, 120)
        figures["sigterm"] |= {
            "seconds_to_end": round(time.perf_counter() - started, 1),
            "exit_status": status,
        }
        figures["log"] = {"lines": len((await log).splitlines()), "traceback": b"Traceback" in await log}
        return figures
    finally:
        if server.process.poll() is None:
            server.process.kill()


def main() -> None:
    """Measure, print the figures, and write them if `--output` is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="run folder")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--slow", type=int, default=2200, help="number of slow clients")
    parser.add_argument(
        "--addresses", type=int, default=8, help="number of addresses (127.0.1.x) to send from"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("serve", nargs="*", help="after --: options of `emonet serve`")
    arguments = parser.parse_args()
    figures = {
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "torch": version("torch"),
        },
        "workers": arguments.workers,
        **asyncio.run(measure(arguments.model, arguments)),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
