"""The running server: many requests, killed workers, the page, the log."""

import asyncio
import base64
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
from page_visitor import PageVisitor
from running_server import RunningServer, running_server
from tiny_serving import save_tiny_model

from emonet.cli.main import main

TWO_TURNS = "Ann: great we won\nBob: no"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("server") / "run")


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[RunningServer]:
    options = ("--no-page", "--max-seconds", "300", "--max-turns", "100", "--max-per-address", "1024")
    with running_server(checkpoint, *options) as running:
        yield running


def ask(server: RunningServer, requests: int) -> list[Any]:
    """Return status and text of the answers to many requests at once."""

    async def ask_all() -> list[Any]:
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(server.url, connector=connector, timeout=timeout) as session:

            async def ask_one(index: int) -> Any:
                turns = [
                    {"speaker": "Ann", "text": f"hello {index}"},
                    {"speaker": "Bob", "text": "great we won"},
                ]
                async with session.post("/v1/emotions", json={"inputs": turns}) as response:
                    return response.status, (await response.json())[0]["text"]

            return await asyncio.gather(*(ask_one(index) for index in range(requests)))

    return asyncio.run(ask_all())


@pytest.mark.slow
def test_a_thousand_requests_at_once_are_all_answered(server: RunningServer) -> None:
    assert ask(server, 1000) == [(200, f"hello {index}") for index in range(1000)]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_no_request_is_refused(server: RunningServer) -> None:
    [before] = server.workers()
    os.kill(before, signal.SIGKILL)
    assert {status for status, _ in ask(server, 20)} == {200}, "requests wait for the new worker"
    [after] = server.workers()
    assert after != before


@pytest.mark.slow
def test_one_of_two_workers_answers_while_the_other_is_replaced(checkpoint: Path) -> None:
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
        for _ in range(6):
            assert "2 turns, 2 speakers" in PageVisitor(server.url).fire("analyse", "click", [TWO_TURNS])
        assert {status for status, _ in ask(server, 20)} == {200}


@pytest.mark.slow
def test_a_login_protects_the_page_behind_the_front(checkpoint: Path) -> None:
    with running_server(checkpoint, "--workers", "2", "--auth", "ann:secret") as server:
        assert PageVisitor(server.url).ask("GET", "/")[0] == 401
        credentials = base64.b64encode(b"ann:secret").decode()
        visitor = PageVisitor(server.url, headers={"authorization": f"Basic {credentials}"})
        assert "2 turns, 2 speakers" in visitor.fire("analyse", "click", [TWO_TURNS])


@pytest.mark.slow
def test_the_log_holds_no_text(checkpoint: Path, capfd: Any) -> None:
    with running_server(checkpoint) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        visitor = PageVisitor(server.url)
        assert "names no speaker" in visitor.fire("analyse", "click", ["a secret\nand another"])
        config = visitor.config()
        states = {component["id"] for component in config["components"] if component["type"] == "state"}
        for event in config["dependencies"]:
            data = [None if component in states else "a secret" for component in event["inputs"]]
            body = {"data": data, "fn_index": event["id"], "session_hash": visitor.session}
            assert visitor.join({**body, "event_data": {"name": "a secret"}})[0] == 200
        time.sleep(3)
        client.post("/v1/emotions", content=b"a secret")
        client.get("/a secret")
    log = capfd.readouterr().err
    assert "is running" in log and "secret" not in log and "Traceback" not in log


@pytest.mark.slow
def test_a_wrong_checkpoint_is_refused_before_a_port_is_open(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    assert main(["serve", "--model", str(tmp_path), "--port", "0"]) == 2
    error = capfd.readouterr().err
    assert "config.json" in error or str(tmp_path) in error
    assert "is running" not in error and "Traceback" not in error


def test_a_taken_port_is_refused_before_a_model_is_loaded(capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--model", "RUN", "--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert "--port" in error and error.count("\n") == 1


def test_a_proxy_must_be_an_address(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--model", "RUN", "--proxy", "nginx"])
    assert "'nginx' is not an address" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["--workers", "--max-body", "--max-turns", "--max-seconds", "--max-requests", "--max-per-address"],
)
def test_limits_are_positive_numbers(option: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--model", "RUN", f"{option}=0"])
    assert f"{option}: '0' is no" in capsys.readouterr().err
