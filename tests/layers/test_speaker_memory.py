"""The speaker memory: what each pooling reads from a history."""

from typing import Any

import pytest
import torch
from torch import nn

from emonet.configuration_emonet import EmoNetConfig
from emonet.constants import CHOICES
from emonet.layers.speaker_memory import SpeakerMemory

POOLINGS = CHOICES["memory_pooling"]
WIDTH = 8


def memory_module(**fields: Any) -> SpeakerMemory:
    torch.manual_seed(0)
    backbone = {"model_type": "bert", "hidden_size": WIDTH, "num_attention_heads": 2}
    config = EmoNetConfig(text_config=backbone, memory_hidden_size=6, **fields)
    module = SpeakerMemory(config).eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    return module


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """One dialogue of three turns: no history, two utterances, four."""
    torch.manual_seed(1)
    index = torch.tensor([[[-1, -1, -1, -1], [0, 2, -1, -1], [3, 1, 0, 2]]])
    return {"states": torch.randn(1, 3, WIDTH), "memory": torch.randn(4, WIDTH), "memory_index": index}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_and_batch_change_nothing(pooling: str, inputs: dict[str, torch.Tensor]) -> None:
    module = memory_module(memory_pooling=pooling)
    whole = module.behaviour(**inputs)
    assert not whole[0, 0].any() and whole[0, 1:].abs().sum(-1).min() > 0.01
    alone = {**inputs, "states": inputs["states"][:, 1:2], "memory_index": inputs["memory_index"][:, 1:2, :2]}
    assert torch.allclose(module.behaviour(**alone)[0, 0], whole[0, 1], atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_utterance_counts(pooling: str, inputs: dict[str, torch.Tensor]) -> None:
    module = memory_module(memory_pooling=pooling)
    memory = inputs["memory"].requires_grad_()
    module.behaviour(**inputs)[0, 2].square().sum().backward()
    assert memory.grad is not None and memory.grad.abs().sum(-1).min() > 1e-6


def test_decay_halves_by_half_life(inputs: dict[str, torch.Tensor]) -> None:
    module = memory_module(memory_pooling="decay", memory_half_life=2.0)
    outputs, _ = module.gru(inputs["memory"][inputs["memory_index"][0, 2]][None])
    weights = torch.tensor([2**-1.5, 2**-1.0, 2**-0.5, 1.0])
    expected = module.projection((weights / weights.sum()) @ outputs[0])
    assert torch.allclose(module.behaviour(**inputs)[0, 2], expected, atol=1e-6)


def test_short_half_life_equals_the_last_state(inputs: dict[str, torch.Tensor]) -> None:
    decay, last = (
        memory_module(memory_pooling="decay", memory_half_life=0.02),
        memory_module(memory_pooling="last"),
    )
    assert torch.allclose(decay.behaviour(**inputs), last.behaviour(**inputs), atol=1e-6)


def test_attention_depends_on_the_turn(inputs: dict[str, torch.Tensor]) -> None:
    other = {**inputs, "states": inputs["states"].flip(-1)}
    attention, decay = memory_module(memory_pooling="attention"), memory_module(memory_pooling="decay")
    assert not torch.allclose(attention.behaviour(**inputs), attention.behaviour(**other), atol=1e-3)
    assert torch.equal(decay.behaviour(**inputs), decay.behaviour(**other))


def test_half_life_is_positive() -> None:
    with pytest.raises(ValueError, match="memory_half_life=0 must be positive"):
        EmoNetConfig(memory_half_life=0)
