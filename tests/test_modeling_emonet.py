"""Causality, batch invariance, gradients and round trips of every preset."""

import inspect
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tiny import DIALOGUE, FAMILIES, LABEL_MAPS, OTHER, build, logits, taking_labels, text_config
from torch import nn
from transformers import Trainer, TrainingArguments

from emonet.configuration_emonet import EmoNetConfig
from emonet.inference.predict import predict_dialogues
from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import PRESETS, preset_config

CAUSAL = [name for name, preset in PRESETS.items() if not preset.sees_future]


@pytest.mark.parametrize(("family", "preset"), list(itertools.product(FAMILIES, CAUSAL)))
def test_earlier_logits_do_not_see_later_turns(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family)
    whole = logits(model, processor, DIALOGUE)[0]
    for index in range(1, len(DIALOGUE)):
        changed = [dict(turn) for turn in DIALOGUE]
        changed[index] = {"speaker": "Zed", "text": "i hate news very much fool"}
        later = logits(model, processor, changed)[0]
        assert torch.allclose(whole[:index], later[:index], atol=1e-5), f"turn {index} reaches back"
        assert not torch.allclose(whole[index], later[index], atol=1e-5), "the changed turn must change"


@pytest.mark.parametrize(("family", "preset"), list(itertools.product(FAMILIES, PRESETS)))
def test_logits_do_not_depend_on_the_batch(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family)
    alone = logits(model, processor, DIALOGUE)[0]
    for batch in ([DIALOGUE, OTHER], [OTHER, DIALOGUE], [OTHER, OTHER, DIALOGUE]):
        together = logits(model, processor, *batch)[batch.index(DIALOGUE), : len(DIALOGUE)]
        assert torch.allclose(alone, together, atol=1e-5)


def test_a_model_that_sees_the_future_says_so(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "context", causal=False)
    whole = logits(model, processor, DIALOGUE)[0]
    changed = [*DIALOGUE[:-1], {"speaker": "Ann", "text": "leave"}]
    assert not torch.allclose(whole[0], logits(model, processor, changed)[0, 0], atol=1e-4)
    assert model.config.causal is False


@pytest.mark.parametrize(
    ("family", "preset"), [(f, p) for f in ("bert", "llama") for p in PRESETS if p not in CAUSAL]
)
def test_a_preset_that_looks_ahead_does(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family)
    whole = logits(model, processor, DIALOGUE)[0]
    changed = [*DIALOGUE[:-1], {"speaker": "Zed", "text": "leave"}]
    assert not torch.allclose(whole[-2], logits(model, processor, changed)[0, -2], atol=1e-5)
    assert model.config.causal is False


@pytest.mark.parametrize(("family", "preset"), list(itertools.product(("bert", "llama"), PRESETS)))
def test_a_model_in_bfloat16_predicts_nearly_the_same(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family)
    dialogues, expected = [DIALOGUE, OTHER], predict_dialogues(model, processor, [DIALOGUE, OTHER])
    model.to(torch.bfloat16)
    found = predict_dialogues(model, processor, dialogues)
    for turn, other in zip(
        (turn for turns in expected for turn in turns),
        (turn for turns in found for turn in turns),
        strict=True,
    ):
        assert all(abs(turn["scores"][label] - other["scores"][label]) < 0.1 for label in turn["scores"])


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_dropout_is_the_backbones_or_the_configured(tokenizer: Any, family: str) -> None:
    def random_passes_agree(**changes: Any) -> bool:
        off = {name: 0.0 for name in vars(text_config(family)) if "drop" in name and "attention" not in name}
        model, processor = build(
            tokenizer, "context", family, {**off, "attn_implementation": "sdpa"}, head_dropout=0.0, **changes
        )
        model.train()
        return torch.equal(logits(model, processor, DIALOGUE), logits(model, processor, DIALOGUE))

    assert random_passes_agree(attention_dropout=0.0) and not random_passes_agree(attention_dropout=0.5)


def test_context_reaches_forward(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "context")
    changed = [{"speaker": "Ann", "text": "leave"}, *DIALOGUE[1:]]
    first, second = logits(model, processor, DIALOGUE)[0], logits(model, processor, changed)[0]
    assert not torch.allclose(first[-1], second[-1], atol=1e-4)


def test_without_context_a_turn_stands_alone(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "context", context_window=0)
    whole = logits(model, processor, DIALOGUE)[0]
    for index, turn in enumerate(DIALOGUE):
        assert torch.allclose(whole[index], logits(model, processor, [turn])[0, 0], atol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_every_trainable_parameter_receives_a_gradient(tokenizer: Any, preset: str, family: str) -> None:
    is_taking_labels = preset_config(preset, False, 3).get("label_evidence", False)
    model, processor = (taking_labels if is_taking_labels else partial(build, preset=preset))(
        tokenizer, family=family
    )
    model.train()
    model(**processor([DIALOGUE, OTHER] * 8)).loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        else:
            assert parameter.grad is None, name
    frozen = {name.split(".")[1] for name, p in model.named_parameters() if not p.requires_grad}
    expected = set()
    if model.config.freeze_backbone:
        expected.add("encoder")
    if model.config.separate_memory_encoder and model.config.memory_encoder == "frozen":
        expected.add("memory_encoder")
    assert frozen == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_round_trip_is_bit_equal_and_stays_frozen(tokenizer: Any, preset: str, tmp_path: Path) -> None:
    model, processor = build(tokenizer, preset, class_weights=[1.0, 2, 3, 4, 5, 6, 7])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.config.to_dict().keys() == model.config.to_dict().keys()
    for (name, saved), (_, read) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(saved, read), name
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in loaded.parameters()]
    assert loaded.config.class_weights == [1.0, 2, 3, 4, 5, 6, 7]
    again = EmoNetProcessor.from_pretrained(tmp_path)
    assert torch.allclose(logits(loaded, again, DIALOGUE), logits(model, processor, DIALOGUE), atol=1e-6)


def test_frozen_memory_is_stored_once(tokenizer: Any, tmp_path: Path) -> None:
    from safetensors import safe_open

    for preset, copies in (("emonet-fast", 1), ("emonet-thesis", 2), ("context", 1)):
        model, _ = build(tokenizer, preset)
        model.save_pretrained(tmp_path / preset)
        with safe_open(tmp_path / preset / "model.safetensors", "pt") as file:
            embeddings = [key for key in file.keys() if key.endswith("word_embeddings.weight")]  # noqa: SIM118  a file handle
        assert len(embeddings) == copies, (preset, embeddings)


@pytest.mark.parametrize("preset", ["emonet-thesis", "compm", "emonet-fast"])
def test_a_backbone_only_checkpoint_leaves_no_garbage(backbone: Path, preset: str) -> None:
    from transformers import AutoConfig

    fields = preset_config(preset, False, 3)
    config = EmoNetConfig(
        text_config=AutoConfig.from_pretrained(backbone), num_speakers=3, **LABEL_MAPS, **fields
    )
    mapping = {r"^(embeddings|encoder|pooler)\.": r"emonet.encoder.\1."}
    for _ in range(3):  # uninitialised memory may look harmless once
        model = EmoNetForSequenceClassification.from_pretrained(backbone, config=config, key_mapping=mapping)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                assert tensor.isfinite().all() and tensor.abs().max() < 30, name
        if model.emonet.standardizer is not None:
            assert torch.equal(model.emonet.standardizer.scale, torch.ones(32))


@pytest.mark.parametrize("preset", ["emonet-thesis", "compm", "emonet-fast"])
def test_from_backbone_takes_the_backbones_weights(backbone: Path, preset: str) -> None:
    from transformers import AutoModel

    source = AutoModel.from_pretrained(backbone, add_pooling_layer=False).state_dict()
    model = EmoNetForSequenceClassification.from_backbone(
        str(backbone), **LABEL_MAPS, **preset_config(preset, False, 3)
    )
    for encoder in filter(None, (model.emonet.encoder, model.emonet.memory_encoder)):
        assert all(torch.equal(tensor, source[name]) for name, tensor in encoder.state_dict().items())
    assert str(backbone) not in model.config.to_json_string(), "a path of the machine in the config"


def test_readout_layer_drops_the_layers_above(backbone: Path, tokenizer: Any) -> None:
    model = EmoNetModel.from_backbone(
        str(backbone), readout_layer=2, speaker_memory="none", speaker_identity="none"
    )
    assert len(model.encoder.encoder.layer) == 2
    with pytest.raises(ValueError, match="has 3 layers"):
        EmoNetModel.from_backbone(str(backbone), readout_layer=9, speaker_memory="none")


def test_base_and_head_load_from_each_other(tokenizer: Any, tmp_path: Path) -> None:
    model, _ = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "head")
    base = EmoNetModel.from_pretrained(tmp_path / "head")
    assert torch.equal(base.memory.gru.weight_hh_l0, model.emonet.memory.gru.weight_hh_l0)
    base.save_pretrained(tmp_path / "base")
    head = EmoNetForSequenceClassification.from_pretrained(tmp_path / "base")
    assert torch.equal(head.emonet.speaker_embedding.weight, model.emonet.speaker_embedding.weight)


def test_auto_classes_know_the_model(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    import emonet  # noqa: F401  registers them

    model, _ = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path)
    assert (
        type(AutoModelForSequenceClassification.from_pretrained(tmp_path)) is EmoNetForSequenceClassification
    )


def test_memory_order_and_identity_matter(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "identity-memory", memory_encoder="shared")
    known = logits(model, processor, DIALOGUE)[0]
    stranger = [{**turn, "speaker": turn["speaker"].replace("Ann", "Eve")} for turn in DIALOGUE]
    assert not torch.allclose(known[0], logits(model, processor, stranger)[0, 0], atol=1e-4), (
        "global identity has no effect"
    )
    batch = processor([DIALOGUE])
    reordered = {**batch, "memory_index": batch["memory_index"].clone()}
    last = reordered["memory_index"][0, -1]
    reordered["memory_index"][0, -1] = torch.stack([last[1], last[0], *last[2:]])
    with torch.no_grad():
        assert not torch.allclose(model(**batch).logits[0, -1], model(**reordered).logits[0, -1], atol=1e-6)


def test_a_nested_config_cannot_turn_remote_code_on() -> None:
    config = EmoNetConfig(
        text_config={"model_type": "bert", "trust_remote_code": True, "auto_map": {"AutoModel": "evil.Evil"}}
    )
    assert "trust_remote_code" not in config.to_json_string() and "evil" not in config.to_json_string()
    with pytest.raises(ValueError, match="code of their own are refused"):
        EmoNetConfig(text_config={"model_type": "evil-model", "auto_map": {"AutoModel": "evil.Evil"}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "max"}, "pooling='max' is not one of"),
        ({"causal": False, "context_mode": "per_turn"}, "causal=False needs"),
        ({"class_weights": [1.0]}, "class_weights has 1 values for 2 labels"),
        ({"memory_window": 0}, "at least 1"),
        ({"context_module": "rgat"}, "'rgat' lets a turn see later turns: set causal=False"),
        ({"context_module": "gru", "causal": False, "context_mode": "per_turn"}, "causal=False needs"),
        ({"context_module": "gatr"}, "context_module='gatr' is not one of none, .*rgat"),
        ({"context_module": "gru", "num_concepts": 3}, "reads no concepts"),
        ({"identity_position": "turn", "speaker_identity": "name"}, "is text"),
    ],
)
def test_impossible_configurations_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmoNetConfig(**fields)


def test_members_are_averaged_and_trained_separately(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-fast", head_members=3, head_dropout=0.0)
    batch = {**processor([DIALOGUE, OTHER])}
    outputs = model(**batch)
    assert torch.allclose(outputs.logits.exp(), outputs.member_logits.softmax(-1).mean(-2), atol=1e-6)
    outputs.loss.backward()
    alone, _ = build(tokenizer, "emonet-fast", head_members=1, head_dropout=0.0)
    for index, member in enumerate(model.classifier.members):
        alone.load_state_dict(
            {
                **{
                    name: weight
                    for name, weight in model.state_dict().items()
                    if not name.startswith("classifier")
                },
                **{f"classifier.{name}": weight for name, weight in member.state_dict().items()},
            }
        )
        alone.zero_grad()
        alone(**batch).loss.backward()
        for name, weight in alone.classifier.named_parameters():
            gradient = model.classifier.members[index].get_parameter(name).grad
            assert torch.allclose(3 * gradient, weight.grad, atol=1e-6), name
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        again = EmoNetForSequenceClassification.from_pretrained(tmp_path)(**batch)
    assert torch.equal(again.logits, outputs.logits)


def test_the_head_takes_the_tensors_of_the_model_by_name(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet")
    names = list(inspect.signature(model.forward).parameters)
    assert names == list(inspect.signature(model.emonet.forward).parameters)
    batch = dict(processor([DIALOGUE, OTHER]))
    assert set(batch) < set(names)
    expected = model(**batch).logits
    assert torch.equal(nn.DataParallel(model)(**batch).logits, expected)
    exported = torch.export.export(model, (), kwargs=batch).module()
    assert torch.allclose(exported(**batch).logits, expected, atol=1e-5)


def test_a_trainer_keeps_the_columns_that_forward_names(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet")
    columns = {name: tensor.tolist() for name, tensor in processor([DIALOGUE]).items()}
    dataset = Dataset.from_dict({**columns, "labels": [[0] * len(DIALOGUE)], "scene": ["Central Perk"]})
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=1, report_to=[], use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(model, arguments, train_dataset=dataset)
    assert set(next(iter(trainer.get_train_dataloader()))) == {*columns, "labels"}
    assert trainer.train().training_loss > 0
