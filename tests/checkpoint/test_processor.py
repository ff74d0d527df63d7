"""Processors of both kinds: calls, a folder of their own, and pushes."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_hub import USER, FakeHub
from tiny import DIALOGUE, OTHER, build
from tiny_prompted import LETTERS, prompted
from transformers import AutoProcessor, BatchFeature, ProcessorMixin
from without_emonet import run_without_emonet

from emonet.errors import EmoNetError
from emonet.processing_emonet import EmoNetProcessor
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.prefix_reader import PrefixReader
from emonet.prompted.processing import PromptedProcessor
from emonet.prompted.prompts import nothing_known

PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE if turn["text"]]
SCRIPT = "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in PLAIN)
NAME = f"{USER}/processor"

LOAD_ALONE = """
from transformers import AutoProcessor
turns = json.loads(open("turns.json").read())
found = {}
for name in ("packed", "system", "prompted"):
    processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
    processor.save_pretrained(name + "-again")
    processor = AutoProcessor.from_pretrained(name + "-again", trust_remote_code=True)
    found[name] = {key: value for key, value in processor(turns, return_tensors=None).items()}
report(found)
"""


def same(batch: Any, other: Any) -> bool:
    return set(batch) == set(other) and all(torch.equal(batch[name], other[name]) for name in batch)


@pytest.fixture(scope="module")
def packed(tokenizer: Any) -> Any:
    model, model.processor = build(tokenizer, "emonet-thesis")
    return model


@pytest.fixture(scope="module")
def prompts(decoder: Path) -> PromptedEmoNet:
    return prompted(decoder, PromptSettings(window=3))


def test_a_dialogue_is_read_in_any_form(packed: Any) -> None:
    processor = packed.processor
    assert isinstance(processor, ProcessorMixin)
    batch = processor(PLAIN)
    assert isinstance(batch, BatchFeature) and "labels" not in batch
    assert packed(**batch).logits.shape == (1, len(PLAIN), 7)
    chat = [{"role": turn["speaker"], "content": turn["text"]} for turn in PLAIN]
    for form in (SCRIPT, chat, {"turns": PLAIN}, {"turns": SCRIPT}, [PLAIN], [SCRIPT], iter([PLAIN])):
        assert same(processor(form), batch), form
    assert same(processor(text=SCRIPT, return_tensors="pt", padding=True), batch)


@torch.no_grad()
def test_several_dialogues_are_padded_and_keep_their_labels(packed: Any) -> None:
    processor = packed.processor
    both = processor([DIALOGUE, OTHER])
    assert both["labels"][1].tolist() == [1, 6, *[-100] * 4]
    logits = packed(**both).logits
    assert logits.shape == (2, len(DIALOGUE), 7)
    for row, dialogue in enumerate((DIALOGUE, OTHER)):
        alone = packed(**processor(dialogue)).logits[0]
        torch.testing.assert_close(logits[row, : len(dialogue)], alone)
    half = processor([PLAIN, [{**PLAIN[0], "emotion": "Sad"}]])["labels"]
    assert half[half != -100].tolist() == [5]


def test_tensors_of_every_kind(packed: Any) -> None:
    batch = packed.processor(DIALOGUE)
    arrays = packed.processor(DIALOGUE, return_tensors="np")
    lists = packed.processor(DIALOGUE, return_tensors=None)
    for name, tensor in batch.items():
        assert isinstance(arrays[name], np.ndarray) and (arrays[name] == tensor.numpy()).all()
        assert lists[name] == tensor.tolist()
    batch = batch.to("meta").to(torch.bfloat16)
    assert {tensor.device.type for tensor in batch.values()} == {"meta"}
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}, "ids are no floats"


@pytest.mark.parametrize(
    ("dialogues", "message"),
    [
        (None, "Give one dialogue or several"),
        ([], "at least one turn"),
        ([DIALOGUE, []], "Dialogue 1: .*at least one turn"),
        ("", "empty dialogue"),
        ("no name\nin any line", "names no speaker"),
        (3, "not int"),
        ([DIALOGUE, DIALOGUE[0]], "Dialogue 1: this is one turn"),
        ([DIALOGUE[0], SCRIPT], "Dialogue 0: this is one turn"),
        ([DIALOGUE, 3], "Dialogue 1: .*got int"),
        ([DIALOGUE, [SCRIPT]], "Dialogue 1: Turn 0 is str"),
        ([{"speaker": "Ann"}], "Turn 0 has no text"),
    ],
)
@pytest.mark.parametrize("kind", ["packed", "prompts"])
def test_bad_dialogues_are_named(kind: str, dialogues: Any, message: str, request: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        request.getfixturevalue(kind).processor(dialogues)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": [1]}, "takes no images: it reads dialogues"),
        ({"max_length": 9}, "takes no max_length"),
        ({"return_tensors": "tf"}, "return_tensors='tf' is not one of 'pt', 'np'"),
        ({"padding": False}, "padding=False: .*encode"),
        ({"text": SCRIPT}, "Give one dialogue or several"),
    ],
)
def test_bad_arguments_are_named(packed: Any, arguments: Any, message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        packed.processor(DIALOGUE, **arguments)


def test_what_was_decided_is_told(packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("emonet.checkpoint.processor.logger.warning", told.append)
    packed.processor(
        "1\n00:00:01,000 --> 00:00:02,000\nAnn: hello there\n\n2\n00:00:03,000 --> 00:00:04,000\n(music)\n"
    )
    assert len(told) == 1 and told[0].startswith("Input read as SubRip")


def alone(kind: str, tokenizer: Any, prompts: PromptedEmoNet) -> Any:
    """A processor, whose `config.json` no folder has."""
    if kind == "prompted":
        return prompts.processor
    return build(tokenizer, {"packed": "emonet-thesis", "system": "rgat"}[kind])[1]


@pytest.mark.parametrize("kind", ["packed", "system", "prompted"])
def test_a_processor_alone(kind: str, tokenizer: Any, prompts: PromptedEmoNet, tmp_path: Path) -> None:
    processor = alone(kind, tokenizer, prompts)
    folder = tmp_path / f"alone_{kind}"
    processor.save_pretrained(folder)
    assert not (folder / "config.json").exists()
    loaded = AutoProcessor.from_pretrained(folder)
    assert type(loaded) is type(processor) and loaded.speakers == processor.speakers
    assert loaded.config.to_dict() == processor.config.to_dict()
    assert same(loaded([PLAIN, PLAIN[:2]]), processor([PLAIN, PLAIN[:2]]))
    # Its code, which the loaders of transformers would import from the folder.
    sys.path.insert(0, str(tmp_path))
    try:
        document = json.loads((folder / "processor_config.json").read_text())
        module, name = document["auto_map"]["AutoProcessor"].split(".")
        exported = getattr(importlib.import_module(f"{folder.name}.{module}"), name)
    finally:
        sys.path.remove(str(tmp_path))
    assert exported is not type(processor)
    assert same(exported.from_pretrained(folder)(PLAIN), processor(PLAIN))


@pytest.mark.slow
def test_processors_alone_without_emonet(tokenizer: Any, prompts: PromptedEmoNet, tmp_path: Path) -> None:
    expected = {}
    for kind in ("packed", "system", "prompted"):
        processor = alone(kind, tokenizer, prompts)
        processor.save_pretrained(tmp_path / kind)
        expected[kind] = dict(processor(PLAIN, return_tensors=None))
    (tmp_path / "turns.json").write_text(json.dumps(PLAIN))
    assert run_without_emonet(LOAD_ALONE, tmp_path) == expected


def test_beside_a_model_is_one_configuration(packed: Any, tokenizer: Any, tmp_path: Path) -> None:
    packed.save_pretrained(tmp_path)
    document = json.loads((tmp_path / "processor_config.json").read_text())
    assert document == {
        "auto_map": {"AutoProcessor": "processing_emonet.EmoNetProcessor"},
        "processor_class": "EmoNetProcessor",
    }
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.py")}
    config = (tmp_path / "config.json").read_bytes()
    other = build(tokenizer, "context", calibration_temperature=3.0)[1]
    other.speakers = {"Zed": 1}
    other.save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_bytes() == config
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.py")} == before
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.speakers == {"Zed": 1} and loaded.config.calibration_temperature == 1.0


def test_another_models_config_is_not_its_own(packed: Any, backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((backbone / "config.json").read_text())
    packed.processor.save_pretrained(tmp_path)
    assert EmoNetProcessor.from_pretrained(tmp_path).config.to_dict() == packed.config.to_dict()


def test_loading_refuses_what_it_would_not_read(packed: Any, tmp_path: Path) -> None:
    packed.processor.save_pretrained(tmp_path)
    with pytest.raises(
        EmoNetError, match=r"takes no 'padding_side': .*It takes cache_dir, .*trust_remote_code"
    ):
        AutoProcessor.from_pretrained(tmp_path, padding_side="left")
    (tmp_path / "processor_config.json").write_text("{")
    with pytest.raises(EmoNetError, match="cannot read JSON"):
        EmoNetProcessor.from_pretrained(tmp_path)


def test_pushes_alone_and_beside_a_model(packed: Any, tokenizer: Any, tmp_path: Path) -> None:
    other = build(tokenizer, "context", calibration_temperature=3.0)[1]
    other.speakers = {"Zed": 1}
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        packed.processor.push_to_hub(NAME, commit_message="alone")
        assert "config.json" not in hub.files(NAME) and "processing_emonet.py" in hub.files(NAME)
        loaded = AutoProcessor.from_pretrained(NAME)
        assert same(loaded(DIALOGUE), packed.processor(DIALOGUE))
        packed.push_to_hub(f"{USER}/model")
        before = hub.files(f"{USER}/model")
        other.push_to_hub("model", private=True)  # the user's own
        after = hub.files(f"{USER}/model")
        assert {name for name in before if after[name] != before[name]} == {"speakers.json"}
        assert set(after) == set(before)
        other.save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id=NAME)
        assert json.loads(hub.files(NAME)["speakers.json"])["speakers"] == ["Zed"]


@torch.no_grad()
def test_prompts_are_scored_as_at_inference(prompts: PromptedEmoNet) -> None:
    other = [{**turn, "emotion": "b"} for turn in OTHER]
    batch = prompts.processor([PLAIN, other])
    assert batch["labels"].tolist() == [[-100]] * len(PLAIN) + [[1]] * len(OTHER)
    output = prompts(**batch)
    assert output.logits.shape == (len(PLAIN) + len(OTHER), 1, len(LETTERS))
    reader = PrefixReader(prompts.language_model, prompts.tree)
    turns = [(dialogue, index) for dialogue in (PLAIN, OTHER) for index in range(len(dialogue))]
    for logits, (dialogue, index) in zip(output.logits[:, 0], turns, strict=True):
        prompt = prompts.processor.prompt(dialogue, index, nothing_known)
        torch.testing.assert_close(logits, reader.log_probabilities(prompt), atol=1e-4, rtol=1e-4)


def test_a_trajectory_needs_the_emotions_before(decoder: Path) -> None:
    processor: PromptedProcessor = prompted(decoder, PromptSettings(window=3, trajectory=2)).processor
    lettered = [{**turn, "emotion": "a"} for turn in PLAIN]
    batch = processor(lettered)
    assert batch["labels"].tolist() == [[0]] * len(PLAIN)
    other = processor(
        [{**turn, "emotion": "b" if index == 0 else "a"} for index, turn in enumerate(lettered)]
    )
    changed = [
        row for row in range(len(PLAIN)) if not torch.equal(batch["input_ids"][row], other["input_ids"][row])
    ]
    assert changed == [2, 4], "Ann's later turns have her first one's emotion in their prompts"
    with pytest.raises(EmoNetError, match=r"Dialogue 0, turn 0 has no emotion.*trajectory=2.*predict"):
        processor(PLAIN)
    assert len(processor(PLAIN[:2])["input_ids"]) == 2, "nobody spoke before"
