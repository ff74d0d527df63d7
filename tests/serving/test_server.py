"""The running server: a storm of requests, a killed worker, the page, its log, and what
the command refuses.
"""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from running_server import RunningServer, running_server
from tiny_serving import save_tiny_model

from emonet.cli.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("server") / "run")


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[RunningServer]:
    options = ("--no-page", "--max-seconds", "300", "--max-turns", "100", "--max-per-address", "1024")
    with running_server(checkpoint, *options) as running:
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


@pytest.mark.slow
def test_the_page_works_with_several_workers(checkpoint: Path) -> None:
    with running_server(checkpoint, "--workers", "2") as server:
        while len(server.workers()) < 2:
            time.sleep(0.2)
        for visitor in range(6):
            assert analyse(server, f"visitor{visitor}")
        assert {status for status, _ in ask(server, 20)} == {200}


def analyse(server: RunningServer, visitor: str) -> bool:
    """The page's first event, as a browser asks for it: whether its stream tells of
    success.
    """
    with httpx.Client(base_url=server.url, timeout=120) as client:
        event = client.get("/config").json()["dependencies"][0]["id"]
        body = {"data": ["Ann: great we won\nBob: no"], "fn_index": event, "session_hash": visitor}
        client.post("/gradio_api/queue/join", json=body).raise_for_status()
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": visitor}) as stream:
            for line in stream.iter_lines():
                if (
                    line.startswith("data:")
                    and (message := json.loads(line[5:]))["msg"] == "process_completed"
                ):
                    return bool(message["success"])
    return False


@pytest.mark.slow
def test_what_it_logs_holds_no_text(checkpoint: Path, capfd: Any) -> None:
    with running_server(checkpoint) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        body = {
            "data": ["a secret"],
            "fn_index": 0,
            "session_hash": "x",
            "event_data": {"secret": "a secret"},
        }
        for event in range(12):
            client.post("/gradio_api/queue/join", json={**body, "fn_index": event})
        time.sleep(3)
        client.post("/v1/emotions", content=b"a secret")
        client.get("/a secret")
    log = capfd.readouterr().err
    assert "is running" in log and "secret" not in log and "Traceback" not in log


@pytest.mark.slow
def test_a_wrong_checkpoint_is_said_before_anything_listens(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    assert main(["serve", "--model", str(tmp_path), "--port", "0"]) == 2
    error = capfd.readouterr().err
    assert "config.json" in error or str(tmp_path) in error
    assert "is running" not in error and "Traceback" not in error


def test_a_port_that_is_taken_is_said_before_a_model_is_loaded(capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--model", "RUN", "--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert "--port" in error and error.count("\n") == 1


def test_a_proxy_is_an_address(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--model", "RUN", "--proxy", "nginx"])
    assert "'nginx' is no address" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["--workers", "--max-body", "--max-turns", "--max-seconds", "--max-requests", "--max-per-address"],
)
def test_limits_are_positive_numbers(option: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--model", "RUN", f"{option}=0"])
    assert f"{option}: '0' is no" in capsys.readouterr().err
