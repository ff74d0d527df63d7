"""Workers that die, hang or do not start, and a server that is told to stop."""

import os
import signal
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_server import SmallServer, small_server


def ask_beside(server: SmallServer, *paths: str) -> Callable[[], list[Any]]:
    """Ask in threads; return a function that waits for statuses and answers."""
    answers: dict[str, Any] = {}

    def ask(path: str) -> None:
        try:
            answers[path] = 200, server.ask(path)
        except urllib.error.HTTPError as error:
            answers[path] = error.code, error.read().decode()
        except OSError as error:
            answers[path] = 0, str(error)

    threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()

    def wait() -> list[Any]:
        for thread in threads:
            thread.join()
        return [answers[path] for path in paths]

    return wait


def test_requests_of_a_worker_that_dies_are_answered_by_another(tmp_path: Path) -> None:
    with small_server(workers=2) as server:
        first = server.ask("/v1/x")["process"]
        wait = ask_beside(server, *(f"/v1/{index}?wait=1" for index in range(10)))
        time.sleep(0.5)
        os.kill(first, signal.SIGKILL)
        assert [status for status, _ in wait()] == [200] * 10, "another worker takes them over"
        assert server.ask(f"/v1/x?once={tmp_path / 'died'}"), "the worker that survives answers"
        with pytest.raises(urllib.error.HTTPError) as error:
            server.ask(f"/page?once={tmp_path / 'page'}")
        assert error.value.code == 503, "a request of the page may change something: it is not repeated"


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with small_server(silence=2) as server:
        before = server.ask("/v1/x")["process"]
        hung = tmp_path / "hung"
        wait_first = ask_beside(server, f"/v1/x?hang=1&once={hung}")
        while not hung.exists():
            time.sleep(0.01)
        wait_others = ask_beside(server, "/v1/y", "/v1/z")
        for status, answer in (*wait_first(), *wait_others()):
            assert (status, answer["process"] != before) == (200, True)


def test_a_stop_answers_requests_under_way_and_refuses_new_ones() -> None:
    with small_server(grace=2) as server:
        with server.connect() as kept:
            kept.sendall(b"GET /v1/health HTTP/1.1\r\nHost: test\r\n\r\n")
            assert b"200" in kept.recv(65536)
            wait = ask_beside(server, "/v1/short?wait=1.5", "/v1/long?wait=60", "/heartbeat/x?wait=60")
            time.sleep(1)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            kept.sendall(b"GET /v1/health HTTP/1.1\r\nHost: test\r\n\r\n")
            assert b" 503 " in kept.recv(65536).split(b"\r\n")[0], "no new requests"
            with pytest.raises(OSError):
                server.connect()
        [(short, _), (long, reason), _] = wait()
        assert (short, long) == (200, 503) and "stopping" in reason
        status, log = server.end()
        assert status == 0 and time.monotonic() - began < 30
        assert "Traceback" not in log and "Error" not in log


def test_a_stop_does_not_wait_for_open_pages() -> None:
    with small_server(grace=600) as server:
        wait = ask_beside(server, "/heartbeat/x?wait=500")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert server.end()[0] == 0
        wait()


@pytest.mark.parametrize(
    ("start", "reason"), [("wrong", "RuntimeError: no such checkpoint"), ("dead", "exit status 3")]
)
def test_three_failed_starts_end_the_server_with_the_reason(start: str, reason: str) -> None:
    with small_server(start=start, wait=False) as server:
        while server.process.poll() is None:
            with pytest.raises(OSError):
                server.connect()  # no port is open before a worker is ready
            time.sleep(0.1)
        status, log = server.end()
    assert status == 1 and "is running" not in log and "Traceback" not in log
    assert "after 3 tries" in log.splitlines()[-1] and reason in log.splitlines()[-1]
