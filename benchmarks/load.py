"""The server under load, attack and kills: `python -m emonet.benchmarks.load --model RUN`
prints its figures as JSON.
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
    """`emonet serve` in a process of its own."""

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
        """Wait until all workers have their model."""
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
        """The processes that hold a model."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def memory(self) -> dict[str, float]:
        """MiB that are resident: of the front, and of the largest worker."""
        front = psutil.Process(self.process.pid).memory_info().rss
        return {
            "front_mib": round(front / 2**20, 1),
            "worker_mib": round(max(worker.memory_info().rss for worker in self.workers()) / 2**20, 1),
        }


async def storm(
    server: Server, requests: int, at_once: int, addresses: int, statuses: Counter[str] | None = None
) -> dict[str, Any]:
    """So many requests, spread over addresses of this machine; throughput, times in ms,
    and statuses as they come.
    """
    statuses = Counter() if statuses is None else statuses
    sessions = [
        aiohttp.ClientSession(
            server.url,
            connector=aiohttp.TCPConnector(limit=0, local_addr=(f"127.0.1.{number + 1}", 0)),
            timeout=aiohttp.ClientTimeout(total=600),
        )
        for number in range(addresses)
    ]
    times: list[float] = []
    numbers = iter(range(requests))

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            began = time.perf_counter()
            try:
                async with session.post("/v1/emotions", json={"inputs": TURNS}) as answer:
                    await answer.read()
                    statuses[str(answer.status)] += 1
            except aiohttp.ClientError as error:
                statuses[type(error).__name__] += 1
            times.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    try:
        await asyncio.gather(*(client(sessions[number % addresses]) for number in range(at_once)))
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
    seconds = time.perf_counter() - began
    times.sort()
    at = {
        f"p{part}_ms": round(times[min(len(times) - 1, len(times) * part // 100)], 1) for part in (50, 95, 99)
    }
    return {
        "requests": len(times),
        "at_once": at_once,
        "a_second": round(len(times) / seconds, 1),
        **at,
        "answers": dict(statuses),
        "errors": len(times) - statuses["200"],
    }


async def slow_bodies(server: Server, clients: int, requests: int, addresses: int) -> dict[str, Any]:
    """Bodies of one address that drip; meanwhile health is asked for, and others want
    answers.
    """
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
                began = time.perf_counter()
                async with session.get("/v1/health") as answer:
                    await answer.read()
                health.append(1000 * (time.perf_counter() - began))
                await asyncio.sleep(0.2)
        return {"slow_clients": clients, "health_slowest_ms": round(max(health), 1), "others": await others}
    finally:
        dripping.cancel()
        for writer in writers:
            writer.close()


async def measure(model: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """All cases in turn, on one server; then it is told to stop in the midst of requests."""
    server = Server(model, ["--workers", str(chosen.workers), *chosen.serve])
    log = asyncio.create_task(asyncio.to_thread(server.process.stderr.read))  # type: ignore[union-attr]
    try:
        await server.ready(chosen.workers)
        figures: dict[str, Any] = {"memory_at_first": server.memory()}
        figures["load"] = await storm(server, chosen.requests, chosen.at_once, chosen.addresses)
        figures["memory_after_load"] = server.memory()
        figures["slow_bodies"] = await slow_bodies(
            server, chosen.slow, chosen.requests // 10, chosen.addresses
        )
        killed = asyncio.create_task(
            storm(server, chosen.requests // 4, chosen.at_once // 4, chosen.addresses)
        )
        await asyncio.sleep(2)
        server.workers()[0].kill()
        figures["killed_worker"] = await killed
        await server.ready(chosen.workers)
        answers: Counter[str] = Counter()
        stopped = asyncio.create_task(
            storm(server, chosen.at_once, chosen.at_once, chosen.addresses, answers)
        )
        while answers.total() < chosen.at_once // 10:
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        figures["sigterm"] = await stopped
        status = await asyncio.to_thread(server.process.wait, 120)
        figures["sigterm"] |= {"seconds_to_end": round(time.perf_counter() - began, 1), "exit_status": status}
        figures["log"] = {"lines": len((await log).splitlines()), "traceback": b"Traceback" in await log}
        return figures
    finally:
        if server.process.poll() is None:
            server.process.kill()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="run folder")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--slow", type=int, default=2200, help="clients whose bodies drip")
    parser.add_argument(
        "--addresses", type=int, default=8, help="of this machine (127.0.1.x) that requests come from"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, help="a JSON file to write the figures to, too")
    parser.add_argument("serve", nargs="*", help="after --: further options of `emonet serve`")
    chosen = parser.parse_args()
    figures = {
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "torch": version("torch"),
        },
        "workers": chosen.workers,
        **asyncio.run(measure(chosen.model, chosen)),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
