"""A saved folder loads without the package; with it, it needs no trust."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny import DIALOGUE, build
from transformers import AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
from without_emonet import run_without_emonet

from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from emonet.processing_emonet import EmoNetProcessor

PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
REPOSITORY = {
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "speakers.json"),
    *("README.md", "handler.py", "requirements.txt", "configuration_emonet.py", "modeling_emonet.py"),
    *("processing_emonet.py", "pipeline_emonet.py"),
}


@pytest.fixture(scope="module")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, model.processor = build(tokenizer, "emonet-thesis")
    path = tmp_path_factory.mktemp("saved")
    model.save_pretrained(path)
    return path


def scores(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [pytest.approx(row["scores"], abs=1e-6) for row in rows]


def test_save_pretrained_leaves_the_whole_repository(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names >= REPOSITORY
    auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
    assert set(auto_map) == {"AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "AutoProcessor"}
    for module in {target.partition(".")[0] for target in auto_map.values()}:
        assert f"{module}.py" in names


def test_code_files_import_each_other_flat_and_nothing_else_of_the_package(folder: Path) -> None:
    for path in folder.glob("*.py"):
        for module in re.findall(r"^\s*from \.([\w.]+) import", path.read_text(), re.MULTILINE):
            assert (folder / f"{module}.py").is_file(), f"{path.name} imports .{module}"


@pytest.mark.slow
def test_every_auto_class_and_the_pipeline_without_the_package(folder: Path, tmp_path: Path) -> None:
    code = f"""
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor
from transformers import AutoTokenizer, pipeline
folder, turns = {str(folder)!r}, {PLAIN!r}
trust = dict(trust_remote_code=True)
config = AutoConfig.from_pretrained(folder, **trust)
model = AutoModel.from_pretrained(folder, **trust)
head = AutoModelForSequenceClassification.from_pretrained(folder, **trust)
processor = AutoProcessor.from_pretrained(folder, **trust)
tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
pipe = pipeline("emotion-in-conversation", model=folder, **trust)
model.save_pretrained("again")
again = pipeline(model="again", **trust)
report(dict(
    labels=config.label_names, classes=[type(model).__name__, type(head).__name__, type(processor).__name__],
    model=model.predict(turns), head=head.predict(turns), pipe=pipe(turns, batch_size=2), again=again(turns),
    tokens=tokenizer("we won")["input_ids"],
))
"""
    found = run_without_emonet(code, tmp_path)
    expected = EmoNetForSequenceClassification.from_pretrained(folder).predict(PLAIN)
    assert found["classes"] == ["EmoNetForSequenceClassification"] * 2 + ["EmoNetProcessor"]
    for form in ("model", "head", "pipe", "again"):
        assert [row["scores"] for row in found[form]] == scores(expected), form


def test_with_the_package_no_trust_is_needed(folder: Path) -> None:
    assert type(AutoModel.from_pretrained(folder)) is EmoNetForSequenceClassification
    assert type(AutoProcessor.from_pretrained(folder)) is EmoNetProcessor
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    expected = model.predict(PLAIN)
    for pipe in (
        pipeline("emotion-in-conversation", model=str(folder)),
        pipeline("emotion-in-conversation", model=str(folder), trust_remote_code=True),
        pipeline("emotion-in-conversation", model=model),
    ):
        assert type(pipe).__module__ == "emonet.pipeline_emonet"
        assert [row["scores"] for row in pipe(PLAIN)] == scores(expected)


def test_a_model_that_was_loaded_saves_its_processor_again(folder: Path, tmp_path: Path) -> None:
    EmoNetForSequenceClassification.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} >= REPOSITORY
    assert (tmp_path / "copy" / "speakers.json").read_text() == (folder / "speakers.json").read_text()


def test_a_pipeline_saves_the_whole_repository(folder: Path, tmp_path: Path) -> None:
    pipe = pipeline("emotion-in-conversation", model=str(folder))
    pipe.save_pretrained(tmp_path / "copy")
    again = pipeline("emotion-in-conversation", model=str(tmp_path / "copy"))
    assert [row["scores"] for row in again(PLAIN)] == scores(pipe(PLAIN))


def test_the_headless_model_names_both_auto_classes(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    model.emonet.processor = processor
    model.emonet.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "modeling_emonet.EmoNetModel"
    assert auto_map["AutoModelForSequenceClassification"] == "modeling_emonet.EmoNetForSequenceClassification"
    assert isinstance(EmoNetModel.from_pretrained(tmp_path), EmoNetModel)
