"""Histories that are read for training end as in the memory's own pass."""

from typing import Any

import pytest
import torch
from tiny import build

from emonet.training.histories import with_histories

MEMORIES: dict[str, dict[str, Any]] = {
    "last": {},
    "decay": {"memory_pooling": "decay"},
    "attention, two layers": {"memory_pooling": "attention", "memory_layers": 2, "memory_dropout": 0.0},
    "no projection": {"memory_projection": False, "memory_hidden_size": None},
    "concatenated": {"memory_fusion": "concat"},
    "gated": {"memory_fusion": "gated"},
}


@pytest.mark.parametrize("case", MEMORIES)
def test_summaries_and_gradients(tokenizer: Any, case: str) -> None:
    changes = {"memory_hidden_size": 6, "freeze_backbone": True, **MEMORIES[case]}
    model, _ = build(tokenizer, "corpus-memory", **changes)
    memory, size = model.emonet.memory.train(), model.config.hidden_size
    torch.manual_seed(0)
    index = torch.tensor([[2, -1, -1], [-1, -1, -1], [0, 3, 4], [3, 4, -1], [3, 4, 0]])
    vectors, weights = torch.randn(5, size), torch.randn(5, size)
    found = []
    for is_own in (True, False):
        states = torch.linspace(-1, 1, 5 * size).view(5, size).requires_grad_()
        inputs = vectors.clone().requires_grad_()
        if is_own:
            result = memory(states[None], inputs, index[None])[0]
        else:
            result = with_histories(memory, inputs, index, states)
        memory.zero_grad()
        (result * weights).sum().backward()
        gradients = [parameter.grad for parameter in memory.parameters() if parameter.grad is not None]
        found.append([result, inputs.grad, states.grad, *gradients])
    assert len(found[0]) == len(found[1]) > 5
    for expected, value in zip(*found, strict=True):
        assert expected is not None and torch.allclose(value, expected, atol=1e-5), case
        assert value.abs().max() > 1e-4


def test_turns_without_any_history(tokenizer: Any) -> None:
    model, _ = build(tokenizer, "corpus-memory", freeze_backbone=True)
    size = model.config.hidden_size
    nobody = torch.full((2, 1), -1)
    states = torch.randn(2, size)
    assert torch.equal(with_histories(model.emonet.memory, torch.zeros(0, size), nobody, states), states)
