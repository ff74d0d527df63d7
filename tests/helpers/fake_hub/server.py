"""Serve the endpoints over HTTP, and cut connections where a test asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from fake_hub.exchange import Answer, Entry, Fault, Refusal, Request

if TYPE_CHECKING:
    from fake_hub import FakeHub


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub, answer: Callable[[Request], Answer]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.answer = hub, answer
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output clean."""

    def handle_request(self) -> None:
        hub = self.server.hub
        fault = hub.take_fault(self.command, self.path)
        if fault == "drop":
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            return self._cut()
        request = Request(self.command, self.path, self.headers, self._read_body())  # type: ignore[arg-type]
        answer = _refusal(fault).answer() if fault in ("500", "429") else self._answer(request)
        if fault == "lost":
            return self._cut()
        self._log(answer.status)
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def _answer(self, request: Request) -> Answer:
        try:
            with self.server.hub.lock:
                return self.server.answer(request)
        except Refusal as refusal:
            return refusal.answer()

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _cut(self) -> None:
        self._log(None)
        self.close_connection = True

    def _log(self, status: int | None) -> None:
        self.server.hub.log.append(Entry(self.command, self.path, status, "Authorization" in self.headers))


def _refusal(fault: Fault) -> Refusal:
    if fault == "429":
        return Refusal(429, "Too many requests", headers={"Retry-After": "0"})
    return Refusal(500, "Internal Server Error")
