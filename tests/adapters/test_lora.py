"""LoRA adapters: train, save, load, merge and resume."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits
from tiny_training import encoded, trainer_for
from without_emonet import run_without_emonet

from emonet.adapters.lora import (
    LoraSettings,
    add_adapters,
    has_adapters,
    merge_adapters,
    save_adapter,
)
from emonet.checkpoint.adapters import fetched, learnt_state
from emonet.checkpoint.files import hub_options
from emonet.cli.main import main
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification

SETTINGS = LoraSettings(rank=4, dropout=0.0)


@pytest.fixture
def adapted(tokenizer: Any) -> tuple[Any, Any]:
    """A model whose adapters change the scores: their second factor starts at zero."""
    model, processor = build(tokenizer, "emonet-lm", "llama")
    model.processor = processor
    add_adapters(model, SETTINGS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return model, processor


def test_new_adapters_change_no_score_and_are_trained(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-lm", "llama")
    before = logits(model, processor, DIALOGUE)
    add_adapters(model, SETTINGS)
    assert torch.equal(before, logits(model, processor, DIALOGUE))
    model.train()
    model(**processor([DIALOGUE, OTHER])).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or name.startswith("classifier") for name in trained)
    assert sum("lora_A" in name for name in trained) == 7 * model.config.text_config.num_hidden_layers


def test_adapters_keep_causality(adapted: tuple[Any, Any]) -> None:
    model, processor = adapted
    whole = logits(model, processor, DIALOGUE)[0]
    changed = [*DIALOGUE[:3], {"speaker": "Zed", "text": "i hate news"}, *DIALOGUE[4:]]
    later = logits(model, processor, changed)[0]
    assert torch.allclose(whole[:3], later[:3], atol=1e-5)
    assert not torch.allclose(whole[3], later[3], atol=1e-4)


def test_merging_changes_no_score(adapted: tuple[Any, Any]) -> None:
    model, processor = adapted
    before = logits(model, processor, DIALOGUE)
    names = set(build(processor.tokenizer, "emonet-lm", "llama")[0].state_dict())
    assert set(model.state_dict()) == names, "the state dict is that of the plain model"
    merge_adapters(model)
    assert not has_adapters(model) and {name for name, _ in model.named_parameters()} <= names
    assert torch.allclose(before, logits(model, processor, DIALOGUE), atol=1e-5)


LOAD = """
import sys
sys.modules["peft"] = None  # as if it were not installed
from transformers import AutoModel, pipeline
turns = [{"speaker": "Ann", "text": "great we won"}, {"speaker": "Bob", "text": "no"}]
model = AutoModel.from_pretrained("run", trust_remote_code=True)
pipe = pipeline("emotion-in-conversation", model="run", trust_remote_code=True)
report([[row["scores"] for row in rows] for rows in (model.predict(turns), pipe(turns))])
"""


@pytest.mark.slow
def test_saved_models_load_without_peft_and_emonet(adapted: tuple[Any, Any], tmp_path: Path) -> None:
    model, _ = adapted
    model.save_pretrained(tmp_path / "run")
    turns = [{"speaker": "Ann", "text": "great we won"}, {"speaker": "Bob", "text": "no"}]
    expected = [pytest.approx(row["scores"], abs=1e-5) for row in model.predict(turns)]
    assert run_without_emonet(LOAD, tmp_path) == [expected, expected]
    assert has_adapters(model), "saving keeps the adapters of the model"


def test_adapters_are_loaded_onto_their_backbone(decoder: Path, tokenizer: Any, tmp_path: Path) -> None:
    model, processor = lm_on(decoder, tokenizer)
    add_adapters(model, SETTINGS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or name.startswith("classifier"):
                parameter.normal_(std=0.3)
    save_adapter(model, tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path / "adapter", backbone_path=str(decoder))
    assert torch.allclose(
        logits(model, processor, DIALOGUE), logits(again, again.processor, DIALOGUE), atol=1e-5
    )
    assert "emonet.standardizer.mean" in learnt_state(model)


def test_adapters_of_another_backbone_are_refused(decoder: Path, tokenizer: Any, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    model, _ = lm_on(decoder, tokenizer)
    add_adapters(model, SETTINGS)
    save_adapter(model, tmp_path / "adapter")
    other = LlamaForCausalLM.from_pretrained(decoder)
    with torch.no_grad():
        other.model.layers[0].mlp.up_proj.weight.add_(0.1)
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(EmoNetError, match="belong to other weights"):
        EmoNetForSequenceClassification.from_pretrained(
            tmp_path / "adapter", backbone_path=str(tmp_path / "other")
        )
    (tmp_path / "adapter" / "emonet_adapter.safetensors").write_bytes(b"half")
    with pytest.raises(EmoNetError, match="is damaged"):
        EmoNetForSequenceClassification.from_pretrained(tmp_path / "adapter", backbone_path=str(decoder))
    (tmp_path / "adapter" / "digests.json").unlink()
    with pytest.raises(EmoNetError, match=r"cannot load its emonet_adapter\.json"):
        EmoNetForSequenceClassification.from_pretrained(tmp_path / "adapter", backbone_path=str(decoder))


def test_wrong_settings_are_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = build(tokenizer, "emonet-lm", "llama")
    with pytest.raises(EmoNetError, match="lora_target_modules='attn'"):
        add_adapters(model, LoraSettings(target_modules="attn"))
    with pytest.raises(EmoNetError, match="no adapters"):
        save_adapter(model, "nowhere")
    add_adapters(model, LoraSettings(target_modules="q_proj, v_proj"))
    with pytest.raises(EmoNetError, match="adapters already"):
        add_adapters(model, SETTINGS)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EmoNetError, match=r"pip install 'emonet\[lm\]'"):
        add_adapters(build(tokenizer, "emonet-lm", "llama")[0], SETTINGS)


SCHEDULE = {
    "save_strategy": "epoch",
    "eval_strategy": "epoch",
    "learning_rate": 1e-3,
    "num_train_epochs": 2,
    "per_device_train_batch_size": 4,
    "save_total_limit": None,
}


def adapted_parts(tokenizer: Any) -> Any:
    parts = encoded(tokenizer, "emonet-lm", family="llama")
    torch.manual_seed(1)  # for the adapters' first factors
    add_adapters(parts[0], SETTINGS)
    return parts


def test_training_resumes_to_the_same_weights(tokenizer: Any, tmp_path: Path) -> None:
    settings = {**SCHEDULE, "load_best_model_at_end": False}
    whole = trainer_for(adapted_parts(tokenizer), tmp_path / "whole", **settings)
    whole.train()
    again = trainer_for(adapted_parts(tokenizer), tmp_path / "again", **settings)
    first = min((tmp_path / "whole").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    again.train(resume_from_checkpoint=str(first))
    for (name, left), (_, right) in zip(
        whole.model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert torch.allclose(left, right, atol=1e-6), name


def test_checkpoints_are_complete_and_the_best_is_loaded(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_for(
        adapted_parts(tokenizer), tmp_path, **{**SCHEDULE, "num_train_epochs": 3, "learning_rate": 3e-3}
    )
    trainer.train()
    figures = [
        entry["eval_weighted_f1"] for entry in trainer.state.log_history if "eval_weighted_f1" in entry
    ]
    assert trainer.evaluate()["eval_weighted_f1"] == pytest.approx(max(figures))
    best = EmoNetForSequenceClassification.from_pretrained(trainer.state.best_model_checkpoint)
    processor = trainer.processing_class
    assert torch.allclose(
        logits(best, processor, DIALOGUE), logits(trainer.model.eval(), processor, DIALOGUE), atol=1e-5
    )


def test_the_command_trains_saves_and_scores(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    schedule = ["--epochs", "1", "--head-epochs", "1", "--bf16"]
    lora = ["--lora-rank", "2", "--lora-target-modules", "q_proj,v_proj"]
    corpus = ["--dataset", "sample"]
    model_flags = ["--preset", "emonet-lm", "--backbone", str(decoder)]
    assert main(["train", *corpus, *model_flags, *schedule, *lora, "--output-dir", str(run)]) == 0
    record = json.loads((run / "run.json").read_text())
    assert [row["epoch"] for row in record["epochs"]] == [0, 1], "the initial head is a candidate"
    assert record["training"]["lora_rank"] == 2 and record["trainable_parameters"] < record["parameters"]
    assert main(["evaluate", "--model", str(run), *corpus, "--json", str(tmp_path / "whole.json")]) == 0
    model = EmoNetForSequenceClassification.from_pretrained(run / "adapter", backbone_path=str(decoder))
    whole, processor = load_engine(run)
    assert torch.allclose(
        logits(whole, processor, DIALOGUE), logits(model, model.processor, DIALOGUE), atol=1e-4
    )
    assert "LoRA" in (run / "README.md").read_text()


def lm_on(decoder: Path, tokenizer: Any) -> tuple[Any, Any]:
    """Build `emonet-lm` on the weights of a folder."""
    from tiny import LABEL_MAPS

    from emonet.processing_emonet import EmoNetProcessor
    from emonet.training.presets import preset_config

    fields = preset_config("emonet-lm", True, 3)
    model = EmoNetForSequenceClassification.from_backbone(str(decoder), **LABEL_MAPS, **fields)
    model.processor = EmoNetProcessor(tokenizer, model.config, {"Ann": 1})
    return model, model.processor


def test_hub_options_reach_the_files(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.json").write_text("{}")
    options = hub_options({"subfolder": "run", "revision": None, "dtype": "float32"})
    assert options == {"subfolder": "run", "revision": None}
    assert fetched(tmp_path, "note.json") is None
    assert fetched(tmp_path, "note.json", **options) == str(tmp_path / "run" / "note.json")
