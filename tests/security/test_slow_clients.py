"""Slow, numerous or forged clients hold no more than their share."""

import json
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from small_server import SmallServer, small_server

HEAD = b"POST /v1/emotions HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    with small_server(limits={"requests": 32, "body": 10_000}) as running:
        yield running


def answer(connection: Any) -> bytes:
    """Read until the other end closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_slow_bodies_and_heads_hold_a_share_and_are_ended(server: SmallServer) -> None:
    bodies = [server.connect() for _ in range(40)]
    heads = [server.connect() for _ in range(3)]
    second = server.connect()
    second.sendall(b"GET /v1/health HTTP/1.1\r\nHost: test\r\n\r\n")
    assert second.recv(65536).startswith(b"HTTP/1.1 200")
    for connection in bodies:
        connection.sendall(HEAD + b"[")
    refused = [connection for connection in bodies if connection in _readable(bodies, 40 - 8)]
    assert len(refused) == 32, "one address has a quarter of the 32 slots"
    assert all(b" 503 " in answer(connection).split(b"\r\n")[0] for connection in refused)
    with server.connect("127.0.0.2") as other:
        other.sendall(HEAD + b"x" * 1000)
        assert other.recv(65536).startswith(b"HTTP/1.1 200"), "another address has slots left"
    began = time.monotonic()
    slow = [connection for connection in bodies if connection not in refused]
    trickled = [*slow, *heads, second]
    for connection in (*heads, second):
        connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    ended: set[Any] = set()
    while len(ended) < len(trickled) and time.monotonic() - began < 30:
        time.sleep(0.5)
        ended |= {connection for connection in trickled if connection not in ended and _trickle(connection)}
    assert len(ended) == len(trickled), "single bytes keep no connection open"
    for connection in slow:
        assert b" 408 " in answer(connection).split(b"\r\n")[0]
    server.ask("/v1/emotions")


def _trickle(connection: Any) -> bool:
    """Send one more byte; return whether the other end has answered or closed."""
    if connection in _readable([connection], 1, 0):
        return True
    try:
        connection.sendall(b"x")
    except OSError:
        return True
    return False


def _readable(connections: list[Any], count: int, seconds: float = 10) -> list[Any]:
    import select

    end = time.monotonic() + seconds
    while True:
        found = select.select(connections, [], [], 0.1 if seconds else 0)[0]
        if len(found) >= count or time.monotonic() >= end:
            return found


def test_the_limit_of_bodies_holds_whatever_their_declared_length(server: SmallServer) -> None:
    for head in (
        b"Content-Length: 10001\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2711\r\n" + b"x" * 10_001 + b"\r\n",
    ):
        with server.connect() as connection:
            connection.sendall(b"POST /v1/emotions HTTP/1.1\r\nHost: test\r\n" + head)
            assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_an_address_that_a_stranger_claims_is_ignored(server: SmallServer) -> None:
    assert server.ask("/v1/x", {"X-Forwarded-For": "10.1.1.1"})["client"] == "127.0.0.1"
    assert (
        server.ask("/v1/x", {"X-Real-IP": "10.1.1.1", "Forwarded": "for=10.1.1.1"})["client"] == "127.0.0.1"
    )


def test_behind_a_proxy_each_client_has_its_own_share() -> None:
    with small_server(limits={"per_address": 1}, proxies=["127.0.0.0/8", "10.0.0.0/8"]) as server:
        assert (
            server.ask("/v1/x", {"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 10.0.0.1"})["client"] == "2.2.2.2"
        ), "the first address is forged"
        with server.connect() as waiting:
            waiting.sendall(b"GET /v1/x?wait=3 HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")
            time.sleep(0.5)
            with pytest.raises(urllib.error.HTTPError) as error:
                server.ask("/v1/x", {"X-Forwarded-For": "1.1.1.1"})
            assert error.value.code == 503 and "share" in json.load(error.value)["detail"]
            assert error.value.headers["Retry-After"] == "1"
            assert server.ask("/v1/x", {"X-Forwarded-For": "2.2.2.2"})["client"] == "2.2.2.2"
