"""Computing in 16 bits: what is cast, what stays, and that weights come back whole."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits
from torch import nn

from emonet.checkpoint.adapters import weights_digest
from emonet.data import load_conversations
from emonet.data.collator import EncodedCorpus
from emonet.data.features import cached_memory_features
from emonet.engines.precision import computing_in, dtype_for, encoder_in, trains_encoder
from emonet.errors import EmoNetError
from emonet.inference.session import EmoNetSession


def dtypes_of(module: nn.Module) -> set[torch.dtype]:
    return {parameter.dtype for parameter in module.parameters()}


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "llama"])
@pytest.mark.parametrize("preset", ["emonet-thesis", "emonet-fast"])
def test_sixteen_bits_are_close_and_not_the_same(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family)
    exact = logits(model, processor, DIALOGUE, OTHER)
    computing_in(model, "bfloat16")
    rounded = logits(model, processor, DIALOGUE, OTHER)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.2
    linear = [layer for layer in model.emonet.encoder.modules() if isinstance(layer, nn.Linear)]
    assert linear and all(layer.weight.dtype == torch.bfloat16 for layer in linear)
    # Sums, norms, embeddings, memory, context and heads are not in the encoder's layers.
    assert model.dtype == torch.float32
    for part in (model.classifier, model.emonet.memory, model.emonet.context):
        assert part is None or dtypes_of(part) == {torch.float32}


def test_float32_changes_no_bit(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = build(tokenizer, "emonet-fast")
    exact = logits(model, processor, DIALOGUE)
    assert torch.equal(logits(computing_in(model, "float32"), processor, DIALOGUE), exact)
    monkeypatch.setenv("EMONET_DTYPE", "float32")
    assert torch.equal(logits(computing_in(model, "auto"), processor, DIALOGUE), exact)
    monkeypatch.setenv("EMONET_DTYPE", "bfloat16")
    assert not torch.equal(logits(computing_in(model, "auto"), processor, DIALOGUE), exact)


def test_auto_leaves_stored_sixteen_bits(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_DTYPE", "float32")
    model = build(tokenizer, "emonet-fast")[0].to(torch.float16)
    assert dtype_for(model, "auto") == "float16" and dtype_for(model, "float32") == "float32"
    assert dtypes_of(computing_in(model, "auto")) == {torch.float16}
    assert dtypes_of(computing_in(model, "float32")) == {torch.float32}


def test_an_exported_graph_keeps_its_dtype() -> None:
    graph = object()
    assert computing_in(graph, "auto") is graph
    with pytest.raises(EmoNetError, match="an ONNX graph computes as it was exported"):
        computing_in(graph, "bfloat16")


def test_weights_come_back_whole(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    encoder = model.emonet.encoder
    exact, state = logits(model, processor, DIALOGUE), {k: v.clone() for k, v in encoder.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), encoder_in("bfloat16", encoder):
        assert not torch.equal(logits(model, processor, DIALOGUE), exact)
        raise RuntimeError("stop")
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    assert torch.equal(logits(model, processor, DIALOGUE), exact)


def test_a_session_streams_in_sixteen_bits(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis", "llama")
    computing_in(model, "bfloat16")
    session = EmoNetSession(model, processor)
    rows = [session.add(turn["speaker"], turn["text"]) for turn in DIALOGUE]
    scores = torch.tensor([[row["scores"][label] for label in processor.config.label_names] for row in rows])
    whole = logits(model, processor, DIALOGUE)[0].softmax(-1)
    assert (scores - whole).abs().max() < 0.02


def test_only_a_trained_transformer_learns(tokenizer: Any) -> None:
    assert trains_encoder(build(tokenizer, "emonet-thesis")[0])
    assert not trains_encoder(build(tokenizer, "emonet-fast")[0])


def test_vectors_of_another_dtype_are_not_read_from_the_cache(tokenizer: Any, tmp_path: Path) -> None:
    def vectors(dtype: str) -> np.ndarray:
        model, processor = build(tokenizer, "emonet-fast")
        corpus = EncodedCorpus(load_conversations("sample"), processor)
        corpus.cache_features(model, tmp_path, progress=False, dtype=dtype)
        assert dtypes_of(model) == {torch.float32}
        return np.concatenate([example["turn_embeds"] for example in corpus["test"].examples])

    exact = vectors("float32")
    (file,) = (tmp_path / "features").iterdir()
    rounded = vectors("bfloat16")
    assert not np.array_equal(exact, rounded) and np.allclose(exact, rounded, atol=0.1)
    assert len(list((tmp_path / "features").iterdir())) == 2
    for dtype, expected in (("float32", exact), ("bfloat16", rounded)):
        assert np.array_equal(vectors(dtype), expected)
    assert len(list((tmp_path / "features").iterdir())) == 2 and file.exists()


def test_vectors_that_were_cached_before_there_was_a_choice_are_still_read(
    tokenizer: Any, tmp_path: Path
) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    settings = {name: getattr(model.config, name) for name in ("pooling", "readout_layer")}
    (tokens,) = processor.encode_memory(["great we won"])
    parts = "1", weights_digest(model.emonet.memory_encoder), json.dumps(settings), json.dumps(tokens)
    key = hashlib.sha256("".join(parts).encode()).hexdigest()[:32]
    old = np.ones((1, model.config.hidden_size), dtype=np.float32)
    (tmp_path / "features").mkdir()
    np.save(tmp_path / "features" / f"{key}.npy", old)
    arguments = (model.emonet, processor, ["great we won"], tmp_path, False)
    assert np.array_equal(cached_memory_features(*arguments), old)
    assert not np.array_equal(cached_memory_features(*arguments, "bfloat16"), old)
