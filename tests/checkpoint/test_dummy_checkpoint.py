"""A checkpoint of an earlier version loads under this one and gives the scores it gave then."""

import json
from pathlib import Path

import pytest
from transformers import AutoModel, pipeline

FOLDER = Path(__file__).with_name("dummy_checkpoint")


def test_an_earlier_checkpoint_gives_the_scores_it_gave() -> None:
    expected = json.loads((FOLDER / "expected.json").read_text("utf-8"))
    turns = [{"speaker": row["speaker"], "text": row["text"]} for row in expected]
    for rows in (
        AutoModel.from_pretrained(FOLDER).predict(turns),
        pipeline("emotion-in-conversation", model=str(FOLDER))(turns),
    ):
        assert [row["label"] for row in rows] == [row["label"] for row in expected]
        assert [row["scores"] for row in rows] == [pytest.approx(row["scores"], abs=1e-5) for row in expected]


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000
