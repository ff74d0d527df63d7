"""Heads on the Hub, whose backbone is another repository there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import USER, FakeHub
from huggingface_hub import HfApi
from tiny import DIALOGUE, LABEL_MAPS, SPEAKERS, text_config
from transformers import AutoModel
from without_emonet import run_without_emonet

from emonet.checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from emonet.configuration_emonet import EmoNetConfig
from emonet.hub.push import push_run
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config

MODEL, BACKBONE = f"{USER}/heads", f"{USER}/backbone"

pytestmark = pytest.mark.slow  # processes that import torch

LOAD = f"""
from importlib import import_module
from pathlib import Path
from huggingface_hub import snapshot_download
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline

trust = dict(trust_remote_code=True)
turns = {DIALOGUE!r}
model = AutoModel.from_pretrained({MODEL!r}, **trust)
head = AutoModelForSequenceClassification.from_pretrained({MODEL!r}, **trust)
pipe = pipeline("emotion-in-conversation", model={MODEL!r}, **trust)
sys.path.insert(0, snapshot_download({MODEL!r}))
handler = import_module("handler").EndpointHandler({MODEL!r})
rows = [model.predict(turns), head.predict(turns), pipe(turns), handler(dict(inputs=turns))]
report([[row["scores"] for row in answer] for answer in rows])
"""
FAIL = f"""
from transformers import AutoModel
try:
    AutoModel.from_pretrained({MODEL!r}, trust_remote_code=True)
except ValueError as error:
    report(str(error))
"""


@pytest.fixture
def hub(tokenizer: Any, tmp_path: Path) -> Iterator[tuple[FakeHub, list[dict[str, float]]]]:
    """A Hub with heads and their backbone, and the scores that were pushed."""
    folder = tmp_path / "backbone"
    torch.manual_seed(1)
    AutoModel.from_config(text_config("bert")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with FakeHub() as hub:
        with hub.here(tmp_path / "writer"):
            HfApi().create_repo(BACKBONE)
            HfApi().upload_folder(repo_id=BACKBONE, folder_path=folder)
            text = AutoModel.from_pretrained(BACKBONE).config
            fields = preset_config("emonet-fast", False, 3)
            config = EmoNetConfig(text_config=text, backbone=BACKBONE, num_speakers=3, **LABEL_MAPS, **fields)
            model = EmoNetForSequenceClassification.from_backbone(BACKBONE, config)
            model.processor = EmoNetProcessor.from_backbone(BACKBONE, config, SPEAKERS)
            model.save_pretrained(tmp_path / "run")
            push_run(tmp_path / "run", MODEL)
            loaded = EmoNetForSequenceClassification.from_pretrained(MODEL).predict(DIALOGUE)
        expected = [row["scores"] for row in model.predict(DIALOGUE)]
        assert [row["scores"] for row in loaded] == [pytest.approx(scores, abs=1e-6) for scores in expected]
        yield hub, expected


def test_two_processes_fetch_the_backbone_at_once(
    hub: tuple[FakeHub, list[dict[str, float]]], tmp_path: Path
) -> None:
    server, expected = hub
    files = server.files(MODEL)
    assert {ADAPTER_FILE, ADAPTER_WEIGHTS, "example.json"} <= set(files) and "model.safetensors" not in files
    reader = tmp_path / "reader"  # with one cache, which is empty
    reader.mkdir()
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run_without_emonet, LOAD, reader, **server.environment) for _ in range(2)]
        for job in jobs:
            for answer in job.result():
                assert answer == [pytest.approx(scores, abs=1e-6) for scores in expected]
    assert not list(reader.rglob("*.incomplete"))


@pytest.mark.parametrize(
    ("change", "words"), [("weights", "belong to other weights"), ("layers", "can't be loaded here")]
)
def test_a_backbone_that_changed_is_refused(
    hub: tuple[FakeHub, list[dict[str, float]]], tmp_path: Path, change: str, words: str
) -> None:
    server, _ = hub
    config = text_config("bert")
    if change == "layers":
        config.num_hidden_layers = 1
    other = tmp_path / "other"
    AutoModel.from_config(config).save_pretrained(other)
    with server.here(tmp_path / "writer"):
        HfApi().upload_folder(repo_id=BACKBONE, folder_path=other)
    reader = tmp_path / "reader"
    reader.mkdir()
    error = run_without_emonet(FAIL, reader, **server.environment)
    assert words in error and BACKBONE in error and "backbone_path=FOLDER" in error


def test_a_backbone_that_is_gone_is_told(hub: tuple[FakeHub, list[dict[str, float]]], tmp_path: Path) -> None:
    server, _ = hub
    del server.repositories["model", BACKBONE]
    reader = tmp_path / "reader"
    reader.mkdir()
    error = run_without_emonet(FAIL, reader, **server.environment)
    assert "can't be loaded here" in error and BACKBONE in error and "backbone_path=FOLDER" in error
