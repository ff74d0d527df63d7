"""Heads without their backbone: saved small, loaded equal, and refused where wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import DIALOGUE, LABEL_MAPS, SPEAKERS, logits, text_config
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from without_emonet import run_without_emonet

from emonet.checkpoint import files
from emonet.checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from emonet.configuration_emonet import EmoNetConfig
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.pipeline_emonet import TASK
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config

NAME = "tiny-org/tiny-backbone"


@pytest.fixture(params=["bert", "llama"])
def backbone(request: Any, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A published backbone: its name stands for a folder, as that of an embedded one."""
    folder = tmp_path / "backbone"
    torch.manual_seed(1)
    AutoModel.from_config(text_config(request.param)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    monkeypatch.setattr(files.package, "resolve_backbone", lambda name: str(folder) if name == NAME else name)
    monkeypatch.setattr(files.package, "backbone_name", lambda path: NAME if path == str(folder) else "other")
    monkeypatch.setattr(files.package, "hub_id", lambda name: name if name == NAME else None)
    yield folder


def frozen_model(**fields: Any) -> EmoNetForSequenceClassification:
    folder = files.package.resolve_backbone(NAME)
    text = AutoModel.from_pretrained(folder).config
    fields = {**preset_config("emonet-fast", text.model_type == "llama", 3), **fields}
    config = EmoNetConfig(text_config=text, backbone=NAME, num_speakers=3, **LABEL_MAPS, **fields)
    model: EmoNetForSequenceClassification = EmoNetForSequenceClassification.from_backbone(NAME, config)
    model.processor = EmoNetProcessor.from_backbone(NAME, config, SPEAKERS)
    return model


@pytest.mark.parametrize("memory", ["none", "corpus"])
def test_heads_load_equal_by_every_call(backbone: Path, tmp_path: Path, memory: str) -> None:
    model = frozen_model(speaker_memory=memory)
    folder = tmp_path / "run"
    model.save_pretrained(folder)
    assert not (folder / "model.safetensors").exists()
    assert not any(name.startswith("emonet.encoder.") for name in load_file(folder / ADAPTER_WEIGHTS))
    expected = logits(model, model.processor, DIALOGUE)
    for loaded in (
        EmoNetForSequenceClassification.from_pretrained(folder),
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoModel.from_pretrained(folder),
        pipeline(TASK, str(folder)).model,
    ):
        torch.testing.assert_close(logits(loaded, loaded.processor, DIALOGUE), expected)


def test_loading_draws_no_random_weights(backbone: Path, tmp_path: Path) -> None:
    """All are read: drawing others first took a third of the time."""
    frozen_model(speaker_memory="corpus").save_pretrained(tmp_path / "run")
    before = torch.random.get_rng_state()
    EmoNetForSequenceClassification.from_pretrained(tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_saving_again_leaves_one_form(backbone: Path, tmp_path: Path) -> None:
    frozen_model().save_pretrained(tmp_path / "run")
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path / "run")
    loaded.save_pretrained(tmp_path / "run", merge=True)
    assert (tmp_path / "run/model.safetensors").is_file()
    assert not (tmp_path / "run" / ADAPTER_FILE).exists()
    whole = EmoNetForSequenceClassification.from_pretrained(tmp_path / "run")
    whole.save_pretrained(tmp_path / "run", merge=False)
    assert not (tmp_path / "run/model.safetensors").exists()
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path / "run")
    torch.testing.assert_close(
        logits(again, again.processor, DIALOGUE), logits(whole, whole.processor, DIALOGUE)
    )


def test_a_left_over_file_does_not_win(backbone: Path, tmp_path: Path) -> None:
    """As on a Hub where a whole model was pushed over heads."""
    model = frozen_model()
    model.save_pretrained(tmp_path / "run")
    left = {name: (tmp_path / "run" / name).read_bytes() for name in (ADAPTER_FILE, ADAPTER_WEIGHTS)}
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(2.0)
    model.save_pretrained(tmp_path / "run", merge=True)
    for name, content in left.items():
        (tmp_path / "run" / name).write_bytes(content)
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path / "run")
    torch.testing.assert_close(
        logits(loaded, loaded.processor, DIALOGUE), logits(model, model.processor, DIALOGUE)
    )


def test_the_whole_is_saved_where_the_backbone_is_needed(backbone: Path, tmp_path: Path) -> None:
    model = frozen_model()
    model.save_pretrained(tmp_path / "checkpoint-12")  # a Trainer resumes from it
    assert (tmp_path / "checkpoint-12/model.safetensors").is_file()
    with torch.no_grad():
        next(model.emonet.encoder.parameters()).add_(1.0)
    model.save_pretrained(tmp_path / "changed")
    assert (tmp_path / "changed/model.safetensors").is_file()
    with pytest.raises(EmoNetError, match="it was trained or changed"):
        model.save_pretrained(tmp_path / "refused", merge=False)
    trained = frozen_model(freeze_backbone=False)
    trained.save_pretrained(tmp_path / "trained")
    assert (tmp_path / "trained/model.safetensors").is_file()


def test_other_backbones_are_refused(backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = frozen_model()
    folder = tmp_path / "run"
    model.save_pretrained(folder)
    weights = load_file(backbone / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, backbone / "model.safetensors", {"format": "pt"})
    with pytest.raises(EmoNetError, match="belong to other weights"):
        EmoNetForSequenceClassification.from_pretrained(folder)
    monkeypatch.setattr(files.package, "resolve_backbone", str)
    with pytest.raises(EmoNetError, match=r"tiny-org/tiny-backbone.*can't be loaded here.*backbone_path"):
        EmoNetForSequenceClassification.from_pretrained(folder)


def test_backbone_path_finds_a_moved_backbone(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = frozen_model()
    model.save_pretrained(tmp_path / "run")
    monkeypatch.setattr(files.package, "resolve_backbone", str)
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path / "run", backbone_path=str(backbone))
    torch.testing.assert_close(
        logits(loaded, loaded.processor, DIALOGUE), logits(model, model.processor, DIALOGUE)
    )


def test_heads_load_without_emonet(backbone: Path, tmp_path: Path) -> None:
    model = frozen_model()
    model.save_pretrained(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / ADAPTER_FILE).read_text())
    (tmp_path / "run" / ADAPTER_FILE).write_text(json.dumps({**facts, "hub_id": str(backbone)}))
    found = run_without_emonet(
        f"""
from transformers import pipeline
pipe = pipeline("emotion-in-conversation", {str(tmp_path / "run")!r}, trust_remote_code=True)
pipe.model.save_pretrained("again")
again = pipeline("emotion-in-conversation", "again", trust_remote_code=True)
turns = [{{"speaker": "Ann", "text": "great we won"}}]
report([pipe(turns)[0]["score"], again(turns)[0]["score"]])
""",
        tmp_path,
    )
    expected = model.predict([{"speaker": "Ann", "text": "great we won"}])[0]["score"]
    assert found == pytest.approx([expected, expected], abs=1e-6)
    assert not (tmp_path / "again/model.safetensors").exists()
    assert AutoTokenizer.from_pretrained(tmp_path / "again") is not None
