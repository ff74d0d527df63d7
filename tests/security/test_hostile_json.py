"""Small bodies that are expensive to validate are refused before their validation."""

import asyncio
import time
import tracemalloc

import httpx
import pytest
from tiny_serving import tiny_predictor

from emonet.serving.api import create_api
from emonet.serving.limits import Limits

BODY = Limits().body
APP = create_api(tiny_predictor(), Limits())
TURNS = '{"inputs":[' + ",".join(["{}"] * 690_000) + "]}"


def post(body: bytes, kind: str = "application/json") -> httpx.Response:
    """Return the answer to a body."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/emotions", content=body, headers={"content-type": kind})

    return asyncio.run(send())


def many(piece: str) -> str:
    """Repeat a piece as often as a body can hold it; `N` is its number."""
    return ",".join(piece.replace("N", str(number)) for number in range((BODY - 100) // (len(piece) + 6)))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (TURNS, 413),
        ('{"inputs":[],"parameters":{"history":{"a":[' + ",".join("0" * 1_000_000) + "]}}}", 413),
        ('{"inputs":[],"parameters":{"history":{' + many('"N":[]') + "}}}", 413),
        ('{"inputs":[],"parameters":{"history":{' + many('"N":0') + "}}}", 413),
        ('{"inputs":[],"parameters":{' + many('"N":0') + "}}", 422),
        ('{"inputs":[],' + many('"N":0') + "}", 422),
        ('{"inputs":' + "[" * 900_000 + "]" * 900_000 + "}", 400),
    ],
    ids=["turns", "utterances", "names", "wrong names", "parameters", "fields", "depth"],
)
def test_a_refusal_costs_little_time(body: str, status: int) -> None:
    assert len(body) <= BODY
    began = time.process_time()
    response = post(body.encode())
    assert response.status_code == status and len(response.content) < 1000
    # Parsing takes a quarter of a second; validation took 5 to 40 seconds.
    assert time.process_time() - began < 1.5


def test_a_refusal_needs_little_memory() -> None:
    tracemalloc.start()
    try:
        post(TURNS.encode())
        assert tracemalloc.get_traced_memory()[1] < 250 * 2**20, "validation took 2.4 GB"
    finally:
        tracemalloc.stop()


def test_a_body_that_is_not_json_is_refused_whatever_its_type() -> None:
    assert [post(b"{", kind).status_code for kind in ("application/json", "text/plain")] == [400, 422]
