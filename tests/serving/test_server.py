"""The running server: a storm of requests, a killed worker, and what the command refuses."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from running_server import RunningServer, running_server
from tiny_serving import save_tiny_model

from emonet.cli.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("server") / "run")


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[RunningServer]:
    with running_server(checkpoint, "--no-page", "--max-seconds", "300", "--max-turns", "100") as running:
        yield running


def ask(server: RunningServer, requests: int) -> list[Any]:
    """(status, the text that came back) of so many requests at once."""

    async def storm() -> list[Any]:
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(server.url, connector=connector, timeout=timeout) as session:

            async def one(number: int) -> Any:
                turns = [
                    {"speaker": "Ann", "text": f"hello {number}"},
                    {"speaker": "Bob", "text": "great we won"},
                ]
                async with session.post("/v1/emotions", json={"inputs": turns}) as response:
                    return response.status, (await response.json())[0]["text"]

            return await asyncio.gather(*(one(number) for number in range(requests)))

    return asyncio.run(storm())


@pytest.mark.slow
def test_a_thousand_requests_at_once_lose_none(server: RunningServer) -> None:
    assert ask(server, 1000) == [(200, f"hello {number}") for number in range(1000)]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_nobody_is_refused_meanwhile(server: RunningServer) -> None:
    [before] = server.workers()
    os.kill(before, signal.SIGKILL)
    assert ask(server, 20) == [(200, f"hello {number}") for number in range(20)], (
        "connections wait for the new worker"
    )
    [after] = server.workers()
    assert after != before


@pytest.mark.slow
def test_of_two_workers_one_answers_while_the_other_is_replaced(checkpoint: Path) -> None:
    with running_server(checkpoint, "--no-page", "--workers", "2") as server:
        while len(server.workers()) < 2:
            time.sleep(0.2)
        victim = min(server.workers())
        os.kill(victim, signal.SIGKILL)
        assert {status for status, _ in ask(server, 20)} == {200}
        deadline = time.monotonic() + 60
        while victim in server.workers() or len(server.workers()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_what_can_not_be_served_is_said_in_one_line(capsys: Any) -> None:
    assert main(["serve", "--model", "RUN", "--workers", "2"]) == 2
    error = capsys.readouterr().err
    assert "--no-page" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "option", ["--workers", "--max-body", "--max-turns", "--max-seconds", "--max-requests"]
)
def test_limits_are_positive_numbers(option: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--model", "RUN", f"{option}=0"])
    assert f"{option}: '0' is no" in capsys.readouterr().err
