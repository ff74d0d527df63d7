"""Bodies made to cost much more than they weigh: each is refused before its parts are
looked at.
"""

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
    """The answer to a body."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/emotions", content=body, headers={"content-type": kind})

    return asyncio.run(send())


def many(piece: str) -> str:
    """As many as a body can hold."""
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
    ids=["turns", "sayings", "names", "wrong names", "parameters", "fields", "depth"],
)
def test_it_costs_little(body: str, status: int) -> None:
    assert len(body) <= BODY
    began = time.process_time()
    response = post(body.encode())
    assert response.status_code == status and len(response.content) < 1000
    # Reading the JSON alone takes a quarter of a second; looking at its parts took 5 to
    # 40.
    assert time.process_time() - began < 1.5


def test_it_needs_little_memory() -> None:
    tracemalloc.start()
    try:
        post(TURNS.encode())
        assert tracemalloc.get_traced_memory()[1] < 250 * 2**20, "it was 2.4 GB"
    finally:
        tracemalloc.stop()


def test_a_body_that_is_no_json_gets_its_reason_whatever_its_type_says() -> None:
    assert [post(b"{", kind).status_code for kind in ("application/json", "text/plain")] == [400, 422]
