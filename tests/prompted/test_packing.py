"""Packed prompts: the scores, losses and gradients of one prompt a turn."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER

from emonet.layers.padding import pad_rows
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.packing import can_pack, packed, packed_prompts
from emonet.prompted.prefix_reader import PrefixReader

# In MODEL's tokenizer these begin alike: two branches.
LONG_LABELS = ["a", "b", "a b", "a c", "b c d"]


@pytest.fixture(scope="module")
def model(decoder: Path) -> PromptedEmoNet:
    built = PromptedEmoNet.from_backbone(str(decoder), LONG_LABELS, PromptSettings(window=3))
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return built


def one_by_one(prompts: list[list[int]]) -> dict[str, torch.Tensor]:
    length = max(map(len, prompts))
    return {
        "input_ids": pad_rows(prompts, length, 0),
        "attention_mask": pad_rows([[1] * len(prompt) for prompt in prompts], length, 0),
    }


def in_rows(model: PromptedEmoNet, prompts: list[list[int]], limit: int = 2048) -> dict[str, torch.Tensor]:
    return packed_prompts(prompts, [prefix for prefix, _ in model.tree.branches], 0, limit)


def loss_and_gradients(
    model: PromptedEmoNet, batch: dict[str, torch.Tensor], labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    output = model(**batch, labels=labels)
    output.loss.backward()
    gradients = {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }
    return output.logits.detach(), output.loss.detach(), gradients


def assert_equal_when_packed(model: PromptedEmoNet, prompts: list[list[int]], limit: int = 2048) -> None:
    labels = torch.arange(len(prompts)).remainder(len(model.labels)).unsqueeze(1)
    expected = loss_and_gradients(model, one_by_one(prompts), labels)
    found = loss_and_gradients(model, in_rows(model, prompts, limit), labels)
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[1], expected[1], atol=1e-4, rtol=0)
    assert expected[2].keys() == found[2].keys() and len(found[2]) > 5
    for name, gradient in expected[2].items():
        torch.testing.assert_close(found[2][name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_rows_are_trees_of_what_sequences_share() -> None:
    row = packed([[1, 2, 3], [1, 2, 4, 5], [1, 2], [9]])
    assert len(row.ids) == 6 and [[row.ids[index] for index in path] for path in row.paths] == [
        [1, 2, 3],
        [1, 2, 4, 5],
        [1, 2],
        [9],
    ]
    assert all(row.positions[index] == position for path in row.paths for position, index in enumerate(path))
    for path in row.paths:  # a token sees its own sequence and no other
        seen = [index for index in range(path[-1] + 1) if row.ends[index] > path[-1]]
        assert seen == path


@pytest.mark.parametrize("limit", [2048, 150, 1])
def test_packed_prompts_give_the_logits_and_gradients_of_one_prompt_a_turn(
    model: PromptedEmoNet, limit: int
) -> None:
    prompts = [
        model.prompts.tokens(turns, index) for turns in (DIALOGUE, OTHER) for index in range(len(turns))
    ]
    assert len(model.tree.branches) > 1
    rows = in_rows(model, prompts, limit)["input_ids"]
    assert len(rows) == (1 if limit == 2048 else len(prompts) if limit == 1 else len(rows))
    assert_equal_when_packed(model, prompts, limit)


def test_packed_prompts_hold_what_is_shared_once(model: PromptedEmoNet) -> None:
    prompts = [model.prompts.tokens(DIALOGUE, index) for index in range(len(DIALOGUE))]
    assert in_rows(model, prompts)["input_ids"].numel() < 0.5 * sum(map(len, prompts))
    changed = [[*prompts[0][:-1], 0], *prompts[1:]]
    before, after = (model(**in_rows(model, rows)).logits[:, 0] for rows in (prompts, changed))
    assert not torch.allclose(before[0], after[0]) and torch.allclose(before[1:], after[1:], atol=1e-5)


def test_all_label_words_are_scored_in_one_pass(
    model: PromptedEmoNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [model.prompts.tokens(DIALOGUE, index) for index in range(len(DIALOGUE))]
    passes: list[int] = []
    hook = model.language_model.register_forward_hook(lambda *_: passes.append(1))
    reader = PrefixReader(model.language_model, model.tree)
    scores = torch.stack([reader.log_probabilities(prompt) for prompt in prompts])
    assert len(passes) == len(prompts)
    monkeypatch.setattr("emonet.prompted.prefix_reader.can_pack", lambda *_: False)
    slow = PrefixReader(model.language_model, model.tree)
    expected = torch.stack([slow.log_probabilities(prompt) for prompt in prompts])
    hook.remove()
    assert len(passes) > 2 * len(prompts)
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"sliding_window": 64},
        {"alibi": True},
        {"layer_types": ["mamba", "attention"]},
        {"_attn_implementation": "flash_attention_2"},
    ],
)
def test_models_that_read_rows_otherwise_are_not_packed(
    model: PromptedEmoNet, change: dict[str, Any]
) -> None:
    class Changed:
        def __init__(self) -> None:
            self.base_model, self._supports_sdpa = model.language_model.base_model, True
            values = {**model.language_model.config.to_dict(), "_attn_implementation": "sdpa", **change}
            self.config = type("Config", (), values)

    assert can_pack(model.language_model, 400) and not can_pack(Changed(), 400)
