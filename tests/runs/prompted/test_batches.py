"""Batches of prompts: dialogues stay together, and both tasks share a history."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER
from tiny_prompted import LETTERS, load, prompted

from emonet.adapters.lora import LoraSettings, add_adapters
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.demonstrations import DemonstrationBank
from emonet.prompted.modeling import PromptedEmoNet
from emonet.runs.prompted.batches import DialogueSampler, PromptCollator, neftune_of_prompts
from emonet.runs.prompted.presets import PROMPTED_PRESETS
from emonet.runs.prompted.tasks import TaskSettings, impact_prompt
from emonet.runs.prompted.trainer import PromptedSplit
from emonet.runs.prompted.trajectory import EmotionRecord
from emonet.speakers.biographies.choose import biographer_for

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


def test_recomputed_activations_give_the_same_gradients(decoder: Path) -> None:
    model = PromptedEmoNet.from_backbone(str(decoder), LETTERS, PromptSettings(window=3))
    add_adapters(model, LoraSettings(rank=2, dropout=0.0))
    batch, gradients = PromptCollator(model)(examples_of(model)[:4]), []
    batch["labels"] = batch["labels"].repeat(2, 1)
    for recompute in (False, True):
        if recompute:
            model.gradient_checkpointing_enable()
        model.train().zero_grad()
        model(**batch).loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    assert gradients[0]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


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


WHOLE = {"trajectory": 2, "biography": True, "demonstrations": 1, "label_statement": True}


@pytest.mark.usefixtures("tiny_encoder")
@pytest.mark.parametrize("template", [1, 2])
@pytest.mark.parametrize(
    ("preset", "causal", "changes"),
    [
        ("emonet-lm-prompted", True, {}),
        ("emonet-lm-prompted", True, {"biography": False, "anonymous": True}),
        ("emonet-lm-prompted", True, {"trajectory": 0}),
        ("instructerc", True, {}),
        ("ckerc", True, {}),
        ("laerc-s", True, {"window": 1}),
        ("bioserc", True, {}),
        ("bioserc", False, {}),
        ("bioserc", False, {**WHOLE, "window": 1}),
    ],
)
def test_every_preset_packed_has_the_scores_and_gradients_of_one_prompt_a_turn(
    preset: str,
    causal: bool,
    changes: dict[str, Any],
    template: int,
    decoder: Path,
    chat_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = {"biography_writer": str(chat_model), "biography_budget": 12} if preset == "bioserc" else {}
    settings = PROMPTED_PRESETS[preset].prompts(causal, **writer)
    settings = replace(settings, template=template, **changes)
    conversations = load(tmp_path)
    model = prompted(decoder, settings)
    if settings.demonstrations:
        model.processor.demonstrations = DemonstrationBank.from_training(conversations["train"], LETTERS)
    record = EmotionRecord(conversations["train"], conversations.utterance_texts(), LETTERS)
    biographer = biographer_for(settings, conversations)
    tasks = TaskSettings(impact_weight=0.1 if preset == "instructerc" else 0.0)
    split = PromptedSplit("train", conversations["train"], model, record, biographer, tasks)
    examples, results = [split[index] for index in range(len(split))], []
    collate = PromptCollator(model)
    for packs in (True, False):
        if not packs:
            monkeypatch.setattr("emonet.runs.prompted.batches.can_pack", lambda *_: False)
        batch = collate(examples)
        labels = batch.pop("labels")
        assert ("read_index" in batch) is packs
        model.zero_grad()
        logits = model(**batch).logits
        losses = [-task.gather(-1, labels.unsqueeze(-1)).mean() for task in logits.split(len(labels))]
        torch.stack(losses).sum().backward()
        gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
        results.append((batch["input_ids"].numel(), logits.detach(), losses[0].detach(), gradients))
    (packed, *found), (whole, *expected) = results
    assert packed < whole
    torch.testing.assert_close(found[:2], expected[:2], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[2], expected[2], atol=1e-4, rtol=1e-4)
