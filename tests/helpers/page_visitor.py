"""A visitor of the page without a browser: the events and routes of Gradio as they travel
over HTTP.
"""

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit


class PageVisitor:
    """One visitor of a running page.

    Args:
        url: The page's address. seconds: For how long an answer may fail to come.
    """

    def __init__(self, url: str, seconds: float = 60.0):
        self.address, self.seconds = urlsplit(url), seconds
        self.session = uuid.uuid4().hex[:12]

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; `target` goes out as it is, dots and all."""
        connection = http.client.HTTPConnection(
            self.address.hostname or "", self.address.port, timeout=self.seconds
        )
        try:
            connection.putrequest(method, target)
            for name, value in {**(headers or {}), "content-length": str(len(body or b""))}.items():
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
        """Components and events, as the page tells its browser."""
        page = self.ask("GET", "/")[2].decode()
        _, _, rest = page.partition("window.gradio_config = ")
        config: dict[str, Any] = json.JSONDecoder().raw_decode(rest)[0]
        return config

    def event_of(self, element: str, event: str) -> dict[str, Any]:
        """The event of the component with that element id."""
        config = self.config()
        [component] = [each["id"] for each in config["components"] if each["props"].get("elem_id") == element]
        [dependency] = [each for each in config["dependencies"] if [component, event] in each["targets"]]
        return dependency

    def join(self, body: Any) -> tuple[int, str]:
        """Put an event into the queue: status and answer."""
        status, _, answer = self.ask(
            "POST", "/gradio_api/queue/join", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        return status, answer.decode()

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the queue says, until the visitor's events are done."""
        connection = http.client.HTTPConnection(
            self.address.hostname or "", self.address.port, timeout=self.seconds
        )
        try:
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self.session}")
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
        """All the text that an event brings back."""
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
    """All strings within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
