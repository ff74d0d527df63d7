"""Checkpoints of earlier versions load and give the same scores."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from code_of_0_1 import AUTO_MAP_OF_PROMPTED, write_code_of_0_1
from tiny_prompted import prompted
from transformers import AutoModel, pipeline
from without_emonet import run_without_emonet

from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet

FOLDER = Path(__file__).with_name("dummy_checkpoint")
LOAD = """
from transformers import AutoModel, pipeline
turns = json.loads(open("turns.json").read())
model = AutoModel.from_pretrained("model", trust_remote_code=True)
pipe = pipeline("emotion-in-conversation", model="model", trust_remote_code=True)
report([[row["scores"] for row in rows] for rows in (model.predict(turns), pipe(turns))])
"""


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


def near(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.approx(row["scores"], abs=1e-5) for row in rows]


def test_it_loads_by_the_code_of_its_own_version(tmp_path: Path) -> None:
    expected = json.loads((FOLDER / "expected.json").read_text("utf-8"))
    copytree(FOLDER, tmp_path / "model")
    write_code_of_0_1(tmp_path / "model")
    (tmp_path / "turns.json").write_text(json.dumps(expected))
    assert run_without_emonet(LOAD, tmp_path) == [near(expected)] * 2
    assert [row["scores"] for row in AutoModel.from_pretrained(tmp_path / "model").predict(expected)] == near(
        expected
    )


@pytest.mark.slow
def test_a_prompted_one_loads_by_the_code_of_its_own_version(decoder: Path, tmp_path: Path) -> None:
    model = prompted(decoder, PromptSettings(window=3, trajectory=2), speakers={"Ann": 1})
    turns = [{"speaker": "Ann", "text": "great we won"}, {"speaker": "Bob", "text": "no"}]
    model.save_pretrained(tmp_path / "model")
    for path in (tmp_path / "model").glob("*.py"):
        path.unlink()
    write_code_of_0_1(tmp_path / "model", "prompted")
    config = tmp_path / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": AUTO_MAP_OF_PROMPTED}))
    (tmp_path / "turns.json").write_text(json.dumps(turns))
    expected = near(model.predict(turns))
    assert run_without_emonet(LOAD, tmp_path) == [expected] * 2
    loaded = AutoModel.from_pretrained(tmp_path / "model")
    assert type(loaded) is PromptedEmoNet and [row["scores"] for row in loaded.predict(turns)] == expected
