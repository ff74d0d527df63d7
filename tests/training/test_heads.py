"""Heads that train in one program end as those of the Trainer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import frozen, trainer_for

from emonet.training.head_stack import HeadStack, Masks
from emonet.training.heads import needs_trainer, train_heads
from emonet.training.turn_reader import TurnReader

PLAIN = {"context_module": "none", "speaker_identity": "none", "identity_position": "marker"}
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "heads": ("emonet", PLAIN),
    "one linear head": ("emonet", {**PLAIN, "head_members": 1, "head_hidden_size": 0}),
    "identity and memory": ("emonet", {"context_module": "none", "speaker_memory": "corpus"}),
    "a context module": ("emonet", {}),
    "a context module with its own loss": ("hitrans", {}),
}


def trained(parts: Any, folder: Path, in_one_program: bool | None, **arguments: Any) -> Any:
    """A trainer that has trained either way, or is ready to (None)."""
    settings = {
        "eval_strategy": "epoch",
        "num_train_epochs": 2,
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 16,
        "learning_rate": 1e-2,
        "learning_rate_mapping": {r"(members\.0|classifier)\.[14]\.weight": 3e-3},
        "weight_decay": 0.1,
        "warmup_steps": 3,
        "max_grad_norm": 0.5,
        "label_smoothing_factor": 0.1,
        "report_to": "none",
    }
    trainer = trainer_for(parts, folder, **{**settings, **arguments})
    if in_one_program is False:
        trainer.train()
    elif in_one_program:
        assert needs_trainer(trainer) is None
        train_heads(trainer)
    return trainer


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_step_is_the_trainers(tokenizer: Any, tmp_path: Path, system: str) -> None:
    preset, changes = SYSTEMS[system]
    slow, fast = (
        trained(frozen(tokenizer, preset, **changes), tmp_path / str(way), way) for way in (False, True)
    )
    initial = dict(frozen(tokenizer, preset, **changes)[0].named_parameters())
    expected = dict(slow.model.named_parameters())
    moved = []
    for name, parameter in fast.model.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=2e-5), name
        if parameter.requires_grad:
            moved.append(not torch.allclose(parameter, initial[name], atol=1e-3))
    assert sum(moved) > len(moved) / 2
    for row, other in zip(slow.state.log_history, fast.state.log_history, strict=True):
        assert set(row) == set(other)
        for name in row:
            if not name.endswith(("runtime", "per_second", "total_flos")):
                assert other[name] == pytest.approx(row[name], abs=1e-4), name


@pytest.mark.parametrize("changes", [PLAIN, {"context_module": "none", "speaker_memory": "corpus"}])
def test_labels_are_shown_as_in_the_models_pass(tokenizer: Any, changes: dict[str, Any]) -> None:
    model, _, split, collator = frozen(tokenizer, "emonet-labels", **changes)
    torch.nn.init.normal_(model.emonet.label_evidence.to_states)
    torch.nn.init.normal_(model.emonet.label_evidence.to_logits)
    windows = [3, 7, 1, 11, 12, 15]
    batch = collator([split[index] for index in windows])
    batch.pop("folds")
    torch.manual_seed(4)
    output = model.train().emonet(**batch)
    torch.manual_seed(4)
    read = TurnReader(model, split, collator)(windows)
    kept = batch["labels"] != -100
    assert output.evidence_logits[kept].any() and read.evidence is not None
    assert torch.allclose(read.states, output.turn_states[kept], atol=1e-5)
    assert torch.allclose(read.evidence, output.evidence_logits[kept], atol=1e-5)
    assert TurnReader(model.eval(), split, collator)(windows).evidence is None


def test_heads_learn_to_read_known_labels(tokenizer: Any, tmp_path: Path) -> None:
    changes = {"preset": "emonet-labels", **PLAIN}
    evidence = []
    for seed in (1, 1, 2):
        trainer = trained(frozen(tokenizer, **changes), tmp_path / str(seed), True, seed=seed)
        evidence.append(dict(trainer.model.emonet.label_evidence.named_parameters()))
    for name in ("to_states", "to_logits"):
        first, again, other = (parameters[name] for parameters in evidence)
        assert torch.equal(first, again) and not torch.equal(first, other), name
    assert all(evidence[0][name].abs().max() > 1e-3 for name in ("to_states", "to_logits"))


def test_products_in_bfloat16_learn_the_same(tokenizer: Any, tmp_path: Path) -> None:
    models = []
    for dtype in ("float32", "bfloat16"):
        trainer = trained(frozen(tokenizer, **PLAIN), tmp_path / dtype, None)
        train_heads(trainer, dtype)
        models.append(dict(trainer.model.named_parameters()))
    names = [name for name, parameter in models[0].items() if parameter.requires_grad]
    assert all(models[1][name].dtype == torch.float32 for name in names)
    differences = torch.cat([(models[0][name] - models[1][name]).flatten() for name in names])
    assert 0 < differences.abs().mean() < 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_drop_their_rate_and_keep_the_mean(rate: float) -> None:
    masks, cpu = Masks(0), torch.device("cpu")
    first, second = masks((2, 300, 400), rate, cpu)
    assert float((first == 0).float().mean()) == pytest.approx(rate, abs=0.01)
    assert float(first.float().mean()) == pytest.approx(1, rel=0.05) and len(first.unique()) == 2
    both = float(((first == 0) & (second == 0)).float().mean())
    assert both == pytest.approx(rate**2, abs=0.01), "each copy has a mask of its own"
    assert not torch.equal(masks((300, 400), rate, cpu), masks((300, 400), rate, cpu))


def test_masks_of_no_or_full_dropout() -> None:
    cpu = torch.device("cpu")
    assert (Masks(0)((4, 5), 0.0, cpu) == 1).all() and not Masks(0)((4, 5), 1.0, cpu).any()


def test_a_stack_gives_its_members_back(tokenizer: Any) -> None:
    model = frozen(tokenizer)[0]
    before = {name: value.clone() for name, value in model.classifier.state_dict().items()}
    stack = HeadStack(model.classifier)
    states = torch.randn(5, model.config.hidden_size)
    with torch.no_grad():
        logits = stack(states)
        assert torch.allclose(stack.averaged(logits), model.classifier(states), atol=1e-6)
        stack.layers[1].weight[2] += 1  # type: ignore[union-attr]
        assert torch.allclose(model.classifier.members[2][1].weight, before["members.2.1.weight"] + 1)
        stack.release()
        stack.layers[1].weight[2] += 1  # type: ignore[union-attr]
    assert torch.allclose(model.classifier.members[2][1].weight, before["members.2.1.weight"] + 1)
    storages = {parameter.untyped_storage().data_ptr() for parameter in model.classifier.parameters()}
    assert len(storages) == len(list(model.classifier.parameters())), "saved tensors share no memory"


def test_gradients_of_a_stack_are_those_of_autograd(tokenizer: Any) -> None:
    """With dropout: both passes drop the same."""
    model = frozen(tokenizer)[0]
    for layer in model.classifier.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.5
    stack, states = HeadStack(model.classifier), torch.randn(5, model.config.hidden_size, requires_grad=True)
    logits = stack(states, Masks(3))
    gradient = torch.randn_like(logits)
    of_states, masks = stack.backward(gradient, to_states=True), Masks(3)
    found = [parameter.grad.clone() for parameter in model.classifier.parameters()]
    model.classifier.zero_grad()
    cpu, members = torch.device("cpu"), model.classifier.members
    dropped = states * masks((len(members), *states.shape), 0.5, cpu)
    hidden = torch.stack([member[1](dropped[m]).relu() for m, member in enumerate(members)])
    hidden = hidden * masks(hidden.shape, 0.5, cpu)
    values = torch.stack([member[4](hidden[m]) for m, member in enumerate(members)])
    assert torch.allclose(values, logits, atol=1e-6)
    values.backward(gradient)
    assert of_states is not None and torch.allclose(of_states, states.grad, atol=1e-5)
    for parameter, expected in zip(model.classifier.parameters(), found, strict=True):
        assert torch.allclose(parameter.grad, expected, atol=1e-5) and expected.any()


REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "save_strategy": ({"save_strategy": "epoch"}, "checkpoints"),
    "eval_strategy": ({"eval_strategy": "steps", "eval_steps": 2}, "within an epoch"),
    "max_steps": ({"max_steps": 2}, "order of steps"),
    "accumulation": ({"gradient_accumulation_steps": 2}, "order of steps"),
}


@pytest.mark.parametrize("case", REASONS)
def test_other_trainings_take_the_trainers_steps(tokenizer: Any, tmp_path: Path, case: str) -> None:
    arguments, reason = REASONS[case]
    assert reason in str(needs_trainer(trained(frozen(tokenizer), tmp_path, None, **arguments)))


def test_tokens_or_a_trained_backbone_need_the_trainer(tokenizer: Any, tmp_path: Path) -> None:
    parts = frozen(tokenizer)
    trainer = trained(parts, tmp_path, None)
    assert needs_trainer(trainer) is None and "checkpoints" in str(needs_trainer(trainer, resume=True))
    parts[0].emonet.encoder.requires_grad_(True)
    assert needs_trainer(trainer) == "the backbone is trained"
    parts[0].emonet.encoder.requires_grad_(False)
    for window in parts[2].examples:
        del window["turn_embeds"]
    assert needs_trainer(trainer) == "no cached vectors"


def test_training_stops_early_and_keeps_the_best_epoch(tokenizer: Any, tmp_path: Path) -> None:
    parts = frozen(tokenizer, head_dropout=0.5)
    trainer = trained(parts, tmp_path, None, num_train_epochs=40, early_stopping_patience=2)
    train_heads(trainer)
    scores = [row["eval_weighted_f1"] for row in trainer.state.log_history if "eval_loss" in row]
    best = int(np.argmax(scores))
    assert len(scores) == best + 3 < 40 and trainer.state.global_step == len(scores) * 6
    assert trainer.evaluate()["eval_weighted_f1"] == pytest.approx(scores[best])
