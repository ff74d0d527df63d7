"""Checkpoints whose files differ from the saved ones: `digests.json` and `verify`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import DIALOGUE, build, logits
from transformers import AutoModel

from emonet.checkpoint.adapters import Base, write_learnt
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification


@pytest.fixture
def checkpoint(tokenizer: Any, tmp_path: Path) -> Path:
    model, processor = build(tokenizer, "emonet")
    model.processor = processor
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder: Path) -> None:
    """Write the weights anew as other tools do, the classifier's bias changed."""
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.startswith("classifier") and name.endswith("bias"))
    save_file({**weights, name: weights[name] + 1}, folder / "model.safetensors", {"format": "pt"})


def test_weights_of_another_tool_load_with_a_warning(checkpoint: Path, caplog: Any) -> None:
    before = EmoNetForSequenceClassification.from_pretrained(checkpoint, verify=True)
    rewrite(checkpoint)
    after = EmoNetForSequenceClassification.from_pretrained(checkpoint)
    assert f"{checkpoint / 'model.safetensors'} was written again" in caplog.text
    assert not torch.allclose(
        logits(before, before.processor, DIALOGUE), logits(after, after.processor, DIALOGUE), atol=1e-3
    )
    with pytest.raises(EmoNetError, match=r"model\.safetensors is damaged, or was changed"):
        AutoModel.from_pretrained(checkpoint, verify=True)
    caplog.clear()
    AutoModel.from_pretrained(checkpoint, verify=False)
    assert not caplog.text


def test_half_a_file_is_no_rewritten_one(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(EmoNetError, match=r"model\.safetensors is damaged"):
        EmoNetForSequenceClassification.from_pretrained(checkpoint)


def test_another_tokenizer_is_refused_unless_nothing_is_verified(checkpoint: Path) -> None:
    tokenizer = checkpoint / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("[MASK]", "[MUSK]"), "utf-8")
    with pytest.raises(EmoNetError, match=r"tokenizer\.json is damaged, or was changed.*verify=False"):
        EmoNetForSequenceClassification.from_pretrained(checkpoint)
    EmoNetForSequenceClassification.from_pretrained(checkpoint, verify=False)


def test_heads_keep_to_their_backbone(backbone: Path, tokenizer: Any, tmp_path: Path, caplog: Any) -> None:
    fields = {"freeze_backbone": True, "speaker_identity": "none", "speaker_memory": "none"}
    model = EmoNetForSequenceClassification.from_backbone(str(backbone), **fields)
    model.config.save_pretrained(tmp_path)
    write_learnt(model, tmp_path, Base.of(str(backbone), model.adapted))
    load = EmoNetForSequenceClassification.from_pretrained
    other = tmp_path / "other"
    changed = AutoModel.from_pretrained(backbone)
    with torch.no_grad():
        changed.embeddings.word_embeddings.weight.add_(0.5)
    changed.save_pretrained(other)
    for verify in (None, True):
        with pytest.raises(EmoNetError, match="belong to other weights"):
            load(tmp_path, backbone_path=str(other), verify=verify)
    caplog.clear()
    heads = load(tmp_path, backbone_path=str(other), verify=False)
    assert "belong to other weights" in caplog.text
    assert torch.equal(heads.get_input_embeddings().weight, changed.get_input_embeddings().weight)
