"""Heads that train in one program end as those of the Trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import frozen, trainer_for

from emonet.training.heads import needs_trainer, train_heads

PLAIN = {"context_module": "none", "speaker_identity": "none", "identity_position": "marker"}
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "heads": ("emonet", PLAIN),
    "one linear head": ("emonet", {**PLAIN, "head_members": 1, "head_hidden_size": 0}),
    "identity and memory": ("emonet", {"context_module": "none", "speaker_memory": "corpus"}),
    "a context module": ("emonet", {}),
    "a context module with its own loss": ("hitrans", {}),
}


def trained(parts: Any, folder: Path, in_one_program: bool, **arguments: Any) -> Any:
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
    if not in_one_program:
        trainer.train()
    else:
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
