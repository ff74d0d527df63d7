"""Requests and their answers, independent of HTTP."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

# drop: the connection closes in the midst of the request. lost: the request is served and
# its answer never arrives.
Fault = Literal["drop", "lost", "500", "429"]


@dataclass(frozen=True)
class Request:
    method: str
    target: str  # as on the request line
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


@dataclass(frozen=True)
class Entry:
    """A line of the log; `status` is None where the connection was cut."""

    method: str
    target: str
    status: int | None
    authorized: bool


class Refusal(Exception):
    """Becomes an answer with an error status, and with the `X-Error-Code` that clients go
    by.
    """

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}

    def answer(self) -> Answer:
        headers = {"X-Error-Message": self.message.partition("\n")[0], **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return Answer.json({"error": self.message}, self.status, **headers)


@dataclass
class FaultRule:
    method: str
    path: re.Pattern[str]
    kind: Fault
    times: int


def part_of(content: bytes, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a download, by the request's `Range` header."""
    headers = {"Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if match is None:
        return 200, content, headers
    first, last = int(match[1]), min(int(match[2] or len(content) - 1), len(content) - 1)
    if first > last:
        raise Refusal(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{len(content)}"})
    return (
        206,
        content[first : last + 1],
        {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"},
    )
