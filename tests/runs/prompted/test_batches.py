"""Batches of prompts: dialogues stay together, and both tasks share a history."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER
from tiny_prompted import LETTERS

from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.runs.prompted.batches import DialogueSampler, PromptCollator, neftune_of_prompts
from emonet.runs.prompted.tasks import impact_prompt

GROUPS = [dialogue for dialogue, turns in enumerate([14, 2, 9, 5, 20, 7, 1, 11] * 4) for _ in range(turns)]


def test_dialogues_are_shuffled_and_stay_together() -> None:
    sampler = DialogueSampler(GROUPS, 16, seed=3)
    first = list(sampler)
    assert sorted(first) == list(range(len(GROUPS))) and len(sampler) == len(GROUPS)
    assert first == list(DialogueSampler(GROUPS, 16, seed=3))
    batches = [first[begin : begin + 16] for begin in range(0, len(first), 16)]
    parts = sum(len({GROUPS[index] for index in batch}) for batch in batches)
    assert parts < 1.3 * len(set(GROUPS)), "few dialogues are cut"
    for batch in batches:
        for dialogue in {GROUPS[index] for index in batch}:
            own = [index for index in batch if GROUPS[index] == dialogue]
            assert own == list(range(own[0], own[0] + len(own)))


def test_each_epoch_has_its_own_order() -> None:
    sampler = DialogueSampler(GROUPS, 8, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert second != first and sorted(second) == sorted(first)
    sampler.set_epoch(0)
    assert list(sampler) == first


@pytest.fixture(scope="module")
def model(decoder: Path) -> PromptedEmoNet:
    return PromptedEmoNet.from_backbone(str(decoder), LETTERS, PromptSettings(window=3))


def examples_of(model: PromptedEmoNet) -> list[dict[str, Any]]:
    return [
        {
            "input_ids": model.prompts.tokens(turns, index),
            "impact_input_ids": impact_prompt(model.prompts, turns, index),
            "labels": [index],
        }
        for turns in (DIALOGUE, OTHER)
        for index in range(len(turns))
    ]


def test_both_tasks_of_a_batch_score_as_rows_of_their_own(
    model: PromptedEmoNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, collate = examples_of(model), PromptCollator(model)
    packed = collate(examples)
    monkeypatch.setattr("emonet.runs.prompted.batches.can_pack", lambda *_: False)
    rows = collate(examples)
    assert "read_index" not in rows and packed["labels"].tolist() == rows["labels"].tolist()
    assert packed["input_ids"].numel() < 0.5 * rows["input_ids"].numel()
    with torch.no_grad():
        found, expected = (
            model(**{name: values for name, values in batch.items() if name != "labels"}).logits
            for batch in (packed, rows)
        )
    assert len(found) == 2 * len(examples)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_noise_on_packed_tokens_is_that_of_a_prompt(model: PromptedEmoNet) -> None:
    embeddings: Any = model.get_input_embeddings()
    examples = examples_of(model)
    batch = PromptCollator(model)(examples)
    with neftune_of_prompts(model, batch):
        assert not hasattr(embeddings, "neftune_noise_alpha")
    embeddings.neftune_noise_alpha = 5.0
    lengths = [len(example[key]) for key in ("input_ids", "impact_input_ids") for example in examples]
    with neftune_of_prompts(model, batch):
        scale = embeddings.neftune_noise_alpha / batch["input_ids"].shape[1] ** 0.5
    assert scale == pytest.approx(5.0 / (sum(lengths) / len(lengths)) ** 0.5)
    assert embeddings.neftune_noise_alpha == 5.0
    del embeddings.neftune_noise_alpha
