"""A visitor of the page without a browser: Gradio's events and routes over HTTP."""

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit


class PageVisitor:
    """One visitor of a running page.

    Args:
        url: The page's address.
        seconds: How long to wait for an answer.
        headers: Headers of every request.
    """

    def __init__(self, url: str, seconds: float = 60.0, headers: dict[str, str] | None = None):
        self.address, self.seconds, self.headers = urlsplit(url), seconds, headers or {}
        self.session = uuid.uuid4().hex[:12]

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body; `target` is sent as it is, dots and all."""
        connection = http.client.HTTPConnection(
            self.address.hostname or "", self.address.port, timeout=self.seconds
        )
        try:
            connection.putrequest(method, target)
            sent = {**self.headers, **(headers or {}), "content-length": str(len(body or b""))}
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def config(self) -> dict[str, Any]:
        """Return components and events, as the page sends them to a browser."""
        page = self.ask("GET", "/")[2].decode()
        _, _, rest = page.partition("window.gradio_config = ")
        config: dict[str, Any] = json.JSONDecoder().raw_decode(rest)[0]
        return config

    def event_of(self, element: str, event: str) -> dict[str, Any]:
        """Return the event of the component with that element id."""
        config = self.config()
        [component] = [one["id"] for one in config["components"] if one["props"].get("elem_id") == element]
        [dependency] = [one for one in config["dependencies"] if [component, event] in one["targets"]]
        return dependency

    def join(self, body: Any) -> tuple[int, str]:
        """Put an event into the queue and return status and answer."""
        status, _, answer = self.ask(
            "POST", "/gradio_api/queue/join", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        return status, answer.decode()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the queue's messages until the visitor's event is done."""
        connection = http.client.HTTPConnection(
            self.address.hostname or "", self.address.port, timeout=self.seconds
        )
        try:
            target = f"/gradio_api/queue/data?session_hash={self.session}"
            connection.request("GET", target, headers=self.headers)
            response = connection.getresponse()
            for line in response:
                if line.startswith(b"data: "):
                    message = json.loads(line[6:])
                    yield message
                    if message["msg"] in ("process_completed", "close_stream", "unexpected_error"):
                        return
        finally:
            connection.close()

    def fire(self, element: str, event: str, data: list[Any], event_data: Any = None) -> str:
        """Fire an event and return all the text that it brings back."""
        dependency = self.event_of(element, event)
        data = data + [None] * (len(dependency["inputs"]) - len(data))
        status, answer = self.join(
            {
                "fn_index": dependency["id"],
                "data": data,
                "event_data": event_data,
                "session_hash": self.session,
            }
        )
        assert status == 200, answer
        return "\n".join(text for message in self.messages() for text in strings(message))


def strings(value: Any) -> Iterator[str]:
    """Yield all strings within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
