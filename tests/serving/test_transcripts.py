"""Real transcripts give their turns through Python and through HTTP."""

import asyncio
from typing import Any

import httpx
import pytest
from tiny import build, make_tokenizer
from transcript_cases import TRANSCRIPTS, TranscriptCase

from emonet.pipeline_emonet import EmoNetPipeline
from emonet.serving.api import create_api
from emonet.serving.limits import Limits
from emonet.serving.predictor import Predictor

each_transcript = pytest.mark.parametrize("case", TRANSCRIPTS, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def model() -> Any:
    return build(make_tokenizer(), "emonet-thesis")


def folded(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["speaker"], " ".join(row["text"].split())) for row in rows]


@each_transcript
def test_through_python(model: Any, case: TranscriptCase) -> None:
    assert folded(EmoNetPipeline(*model)(case.content)) == case.turns


@each_transcript
def test_through_http(model: Any, case: TranscriptCase) -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_api(Predictor(*model, "tiny"), Limits()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/emotions", json={"inputs": case.content})

    response = asyncio.run(send())
    assert response.status_code == 200, response.text
    assert folded(response.json()) == case.turns
