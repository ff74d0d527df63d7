"""What users of transformers expect of a model: arguments, outputs, export, devices."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits
from torch import nn
from transformers import AutoModel

from emonet.errors import EmoNetError
from emonet.layers.turn_attention import pool_turns
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.pipeline_emonet import EmoNetPipeline
from emonet.training.presets import PRESETS

MEMORIES = ("frozen", "shared", "trained")


@pytest.fixture(scope="module")
def packed(tokenizer: Any) -> Any:
    model, processor = build(tokenizer, "emonet-thesis")
    model.processor = processor
    return model


@pytest.fixture(scope="module")
def per_turn(tokenizer: Any) -> Any:
    model, processor = build(tokenizer, "compm")
    model.processor = processor
    return model


def batch_of(model: Any, *dialogues: Any) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.processor(list(dialogues)).items() if name != "labels"}


@torch.no_grad()
def test_hidden_states_are_those_that_turns_are_read_from(packed: Any) -> None:
    batch = batch_of(packed, DIALOGUE, OTHER)
    outputs = packed(**batch, output_hidden_states=True)
    assert len(outputs.hidden_states) == 4 and outputs.attentions is None
    turns = pool_turns(outputs.hidden_states[-1], batch["turn_ids"], len(DIALOGUE), packed.config.pooling)
    tokens = {name: batch[name] for name in ("input_ids", "attention_mask", "turn_ids", "speaker_ids")}
    assert torch.allclose(turns, packed.emonet.encode_turns(**tokens), atol=1e-6)
    assert torch.equal(outputs.logits, packed(**batch).logits)
    first, *others = packed(**batch, output_hidden_states=[0]).hidden_states
    assert torch.equal(first, outputs.hidden_states[0]) and others == [None] * 3


@torch.no_grad()
def test_hidden_states_of_per_turn_sequences_are_in_their_order(per_turn: Any) -> None:
    batch = batch_of(per_turn, DIALOGUE, OTHER)
    outputs = per_turn(**batch, output_hidden_states=True)
    assert outputs.hidden_states[-1].shape == (*batch["input_ids"].shape, 32)
    assert torch.allclose(outputs.logits, per_turn(**batch).logits, atol=1e-5)
    alone = per_turn(**batch_of(per_turn, OTHER), output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(outputs.hidden_states[-1][-2:, : alone.shape[1]], alone, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "llama"])
@torch.no_grad()
def test_attentions_follow_the_mask_of_turns(tokenizer: Any, family: str) -> None:
    model, processor = build(tokenizer, "context", family)
    model.set_attn_implementation("eager")
    batch = processor([DIALOGUE, OTHER])
    attentions = model(**batch, output_attentions=True).attentions
    assert len(attentions) == 3
    turns = batch["turn_ids"]
    later = (turns.unsqueeze(1) > turns.unsqueeze(2)) & (turns.unsqueeze(2) >= 0)
    for weights in attentions:
        assert weights.shape == (2, 4, turns.shape[1], turns.shape[1])
        assert weights.amax(1)[later].max() < 1e-6, "a turn attends to a later one"


def test_configuration_asks_for_states_too(packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(packed, DIALOGUE)
    monkeypatch.setattr(packed.config, "output_hidden_states", True)
    assert len(packed(**batch).hidden_states) == 4
    assert packed(**batch, output_hidden_states=False).hidden_states is None
    vectors = packed.emonet.encode_turns(
        *(batch.pop(name) for name in ("input_ids", "attention_mask", "turn_ids")), batch["speaker_ids"]
    )
    assert packed(**batch, turn_embeds=vectors).hidden_states is None


def test_single_texts_have_hidden_states(packed: Any) -> None:
    tokens = packed.processor.tokenizer(["great we won", "no"], padding=True, return_tensors="pt")
    outputs = packed(**tokens, output_hidden_states=True, return_dict=False)
    assert isinstance(outputs, tuple) and [tuple(states.shape)[:1] for states in outputs[-1]] == [(2,)] * 4
    assert torch.equal(packed(tokens["input_ids"], tokens["attention_mask"]).logits, outputs[0])


def test_tuples_hold_what_dicts_hold(packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = {**packed.processor([DIALOGUE]), "labels": torch.ones(1, len(DIALOGUE), dtype=torch.long)}
    outputs = packed(**batch)
    loss, scores, states = packed(**batch, return_dict=False)
    assert torch.equal(loss, outputs.loss) and torch.equal(scores, outputs.logits)
    monkeypatch.setattr(packed.config, "return_dict", False)
    assert torch.equal(packed(**batch)[2], states)
    assert isinstance(packed.emonet(**batch), tuple)


@pytest.mark.parametrize("part", ["head", "base"])
def test_unknown_arguments_are_refused(packed: Any, part: str) -> None:
    model = packed if part == "head" else packed.emonet
    with pytest.raises(TypeError, match="speaker_id"):
        model(**batch_of(packed, DIALOGUE), speaker_id=torch.zeros(1, 6))
    with pytest.raises(TypeError, match="mask"):
        model(input_ids=torch.ones(1, 3, dtype=torch.long), mask=None)


@pytest.mark.parametrize("memory", MEMORIES)
def test_new_tokens_reach_the_memory(tokenizer: Any, memory: str, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "corpus-memory", memory_encoder=memory)
    model.processor = processor
    before, size = logits(model, processor, DIALOGUE), model.config.text_config.vocab_size
    model.resize_token_embeddings(size + 8)
    assert torch.allclose(before, logits(model, processor, DIALOGUE), atol=1e-6)
    batch = batch_of(model, DIALOGUE)
    batch["input_ids"][0, 2] = batch["memory_input_ids"][0, 0] = size + 7
    model.save_pretrained(tmp_path)
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.text_config.vocab_size == size + 8
    assert torch.allclose(model(**batch).logits, again(**batch).logits, atol=1e-6)
    if model.emonet.memory_encoder is not None:
        rows = [
            encoder.get_input_embeddings().weight[size:]
            for encoder in (model.emonet.encoder, model.emonet.memory_encoder)
        ]
        assert torch.equal(*rows)


@pytest.mark.parametrize("preset", ["emonet-thesis", "compm", "emonet", "dialoguegcn", "tucore-gcn"])
def test_the_pass_of_a_graph_is_the_model(
    tokenizer: Any, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = build(tokenizer, preset)
    model.processor = processor
    batch = batch_of(model, DIALOGUE, OTHER)
    expected, turns = model(**batch).logits, batch["speaker_ids"] >= 0
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.allclose(model(**batch).logits[turns], expected[turns], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_exported_graphs_are_the_model(tokenizer: Any, preset: str) -> None:
    model, processor = build(tokenizer, preset, "llama" if preset == "emonet-lm" else "bert")
    model.processor = processor
    batch = batch_of(model, DIALOGUE, OTHER)
    graph = torch.export.export(model, (), batch, strict=False).module()
    turns = batch["speaker_ids"] >= 0
    assert torch.allclose(graph(**batch).logits[turns], model(**batch).logits[turns], atol=1e-5)
    if "memory_index" in batch:  # nothing of the example's history is part of the graph
        batch["memory_index"] = torch.full_like(batch["memory_index"], -1)
        batch["memory_index"][0, 1, 0] = 1
    batch["speaker_ids"] = torch.where(turns, 1, -1)
    assert torch.allclose(graph(**batch).logits[turns], model(**batch).logits[turns], atol=1e-5)


@pytest.mark.slow
def test_a_compiled_model_is_the_model(packed: Any) -> None:
    compiled = torch.compile(packed, backend="eager")
    for dialogues in ([DIALOGUE], [DIALOGUE, OTHER]):
        batch = batch_of(packed, *dialogues)
        assert torch.allclose(compiled(**batch).logits, packed(**batch).logits, atol=1e-5)


def replica_of(module: nn.Module) -> Any:
    """A replica as `torch.nn.DataParallel` makes it, without a second device."""
    replica = module._replicate_for_data_parallel()
    for name, child in module.named_children():
        replica._modules[name] = replica_of(child)
    for name, parameter in module.named_parameters(recurse=False):
        setattr(replica, name, parameter.detach())
    return replica


def test_data_parallel_is_refused_where_it_would_mix_rows(packed: Any, per_turn: Any) -> None:
    for model, name in ((packed, "memory_index"), (per_turn, "memory_index|sequence_index")):
        with pytest.raises(EmoNetError, match=f"splits the rows that ({name}) refers to.*torchrun"):
            replica_of(model)(**batch_of(model, DIALOGUE))


@torch.no_grad()
def test_data_parallel_works_without_shared_rows(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "global-identity")
    model.processor = processor
    batch = batch_of(model, DIALOGUE, OTHER)
    shards = [{name: tensor[row : row + 1] for name, tensor in batch.items()} for row in range(2)]
    scores = torch.cat([replica_of(model)(**shard).logits for shard in shards])
    turns = batch["speaker_ids"] >= 0
    assert torch.allclose(scores[turns], model(**batch).logits[turns], atol=1e-5)


@pytest.fixture(scope="module")
def saved(packed: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    packed.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


@pytest.mark.parametrize("places", ["cpu", "disk", "both"])
def test_offloaded_weights_predict(places: str, packed: Any, saved: Path, tmp_path: Path) -> None:
    parts = ("encoder", "memory_encoder", "speaker_embedding", "memory")
    device_map = {"": places}
    if places == "both":
        device_map = {f"emonet.{part}": "disk" for part in parts} | {"classifier": "cpu"}
    model = EmoNetForSequenceClassification.from_pretrained(
        saved, device_map=device_map, offload_folder=tmp_path
    )
    offloaded = any(parameter.device.type == "meta" for parameter in model.parameters())
    assert offloaded == (places != "cpu") and model.device.type == "cpu"
    scores = [row["scores"] for row in packed.predict(DIALOGUE)]
    assert [row["scores"] for row in model.predict(DIALOGUE)] == [
        pytest.approx(row, abs=1e-6) for row in scores
    ]
    pipe = EmoNetPipeline(model)
    assert [row["scores"] for row in pipe(DIALOGUE)] == [pytest.approx(row, abs=1e-6) for row in scores]


@torch.no_grad()
def test_offloaded_members_of_a_head_predict(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet", head_members=3)
    model.processor = processor
    model.classifier.class_bias.copy_(torch.arange(7.0))
    model.save_pretrained(tmp_path / "saved")
    again = EmoNetForSequenceClassification.from_pretrained(
        tmp_path / "saved", device_map={"": "disk"}, offload_folder=tmp_path / "offload"
    )
    batch = batch_of(model, DIALOGUE)
    assert torch.allclose(again(**batch).logits, model(**batch).logits, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_half_precision_is_close(dtype: torch.dtype, packed: Any, saved: Path) -> None:
    batch = batch_of(packed, DIALOGUE)
    expected = packed(**batch).logits.softmax(-1)
    loaded = EmoNetForSequenceClassification.from_pretrained(saved, dtype=dtype)
    cast = EmoNetForSequenceClassification.from_pretrained(saved).to(dtype)
    for model in (loaded, cast):
        assert model.dtype == dtype
        assert torch.allclose(model(**batch).logits.float().softmax(-1), expected, atol=0.05)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_attention_is_passed_on(attention: str, packed: Any, saved: Path) -> None:
    model = AutoModel.from_pretrained(saved, attn_implementation=attention)
    for encoder in (model.emonet.encoder, model.emonet.memory_encoder):
        assert encoder.config._attn_implementation == attention
    batch = batch_of(packed, DIALOGUE)
    assert torch.allclose(model(**batch).logits, packed(**batch).logits, atol=1e-5)
