"""The tasks beside the emotion, and the stage that learns to write answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABELS

from emonet.adapters.lora import LoraSettings, add_adapters
from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.prompts import PromptBuilder
from emonet.runs.prompted.batches import AnswerCollator, AnswerExample
from emonet.runs.prompted.first_stage import AnswerModel, answer_rows, learn_answers
from emonet.runs.prompted.tasks import TaskSettings, impact_prompt, impact_text, speaker_examples

SETTINGS = PromptSettings(window=3, label_statement=True)


@pytest.fixture
def builder(tokenizer: Any) -> PromptBuilder:
    return PromptBuilder(tokenizer, LABELS, SETTINGS, 4000)


def test_who_spoke_is_asked_of_the_utterance_alone(builder: PromptBuilder) -> None:
    alone = {"dialogue_id": "d2", "turns": [DIALOGUE[0]]}
    examples = speaker_examples(builder, [{"dialogue_id": "d1", "turns": DIALOGUE}, alone])
    assert [answer for _, answer, _ in examples] == [turn["speaker"] for turn in DIALOGUE], (
        "one speaker alone teaches nothing"
    )
    prompt = examples[4][0]
    assert '"leave me alone"' in prompt and "<Ann, Bob, Cat>" in prompt and "wonderful" not in prompt


def test_what_comes_next_is_asked_without_the_turn_and_what_follows(builder: PromptBuilder) -> None:
    text = impact_text(builder, DIALOGUE, 4, 3)
    changed = [
        *DIALOGUE[:4],
        {"speaker": "Bob", "text": "great we won", "emotion": "Joyful"},
        {"speaker": "Zed", "text": "x"},
    ]
    assert impact_text(builder, changed, 4, 3) == text
    assert (
        '"that is wonderful news"' in text and "leave me alone" not in text and "hello there" not in text
    ), "the window"
    assert "The next to speak is <Bob>" in text
    assert "The next to speak is <Zed>" in impact_text(
        builder, [*DIALOGUE[:4], {"speaker": "Zed", "text": ""}], 4, 3
    )
    assert impact_text(builder, DIALOGUE, 0, 3).split("###")[2].strip() == ""
    builder.max_tokens = len(impact_prompt(builder, DIALOGUE, 4)) - 1
    assert len(impact_prompt(builder, DIALOGUE, 4)) <= builder.max_tokens, "the oldest turns go"


@pytest.fixture
def model(decoder: Path) -> PromptedEmoNet:
    built = PromptedEmoNet.from_backbone(str(decoder), ["a", "b", "c"], SETTINGS)
    add_adapters(built, LoraSettings(rank=4, dropout=0.0))
    built.language_model.get_output_embeddings().requires_grad_(False)
    return built


def test_the_loss_is_that_of_the_answers_tokens(model: PromptedEmoNet) -> None:
    (row,) = answer_rows(model.tokenizer, [AnswerExample("a b c d", "e f")], 100)
    end = model.tokenizer.eos_token_id
    assert row["labels"] == [-100] * 4 + row["input_ids"][4:] and row["input_ids"][-1] == end
    ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
    with torch.no_grad():
        expected = model.language_model(input_ids=ids, labels=labels).loss
        found = AnswerModel(model)(**AnswerCollator(model)([row]))["loss"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_packed_answers_have_the_loss_and_gradients_of_answers_alone(
    model: PromptedEmoNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [AnswerExample("a b c d", "e f"), AnswerExample("a b c", "d e"), AnswerExample("a b e", "f")]
    rows = answer_rows(model.tokenizer, examples, 100)
    batch = AnswerCollator(model)(rows)
    assert batch["input_ids"].numel() < sum(len(row["input_ids"]) for row in rows)
    monkeypatch.setattr("emonet.runs.prompted.batches.can_pack", lambda *_: False)
    losses, gradients = [], []
    for tensors in (batch, AnswerCollator(model)(rows)):
        model.zero_grad()
        loss = AnswerModel(model)(**tensors)["loss"]
        loss.backward()
        losses.append(loss.detach())
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    torch.testing.assert_close(*losses, atol=1e-5, rtol=0)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_it_trains_the_adapters_that_stage_2_goes_on_with(model: PromptedEmoNet, tmp_path: Path) -> None:
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    facts = learn_answers(
        model,
        [AnswerExample("a b", "c d"), AnswerExample("e f", "g h"), AnswerExample("a f", "i j")] * 4,
        output_dir=str(tmp_path),
        num_train_epochs=4,
        learning_rate=2e-2,
        use_cpu=True,
        disable_tqdm=True,
    )
    assert (
        facts["losses"][-1] < facts["losses"][0] and facts["examples"] == 12 and facts["answer_tokens"] == 36
    )
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved and all("lora_" in name for name in moved)


def test_an_example_over_the_length_is_counted_and_none_is_refused(
    model: PromptedEmoNet, caplog: Any
) -> None:
    rows = answer_rows(model.tokenizer, [AnswerExample("a b c", "d"), AnswerExample("a b c d e f", "g")], 5)
    assert len(rows) == 1 and "1 of 2 examples are over 5 tokens" in caplog.text
    with pytest.raises(EmoNetError, match="nothing to learn"):
        answer_rows(model.tokenizer, [AnswerExample("a b c d e f", "g")], 5)


def test_settings_of_tasks_are_taken_out_and_checked() -> None:
    training = {"learning_rate": 1.0, "first_stage": "oReact, xWant", "impact_weight": 0.1}
    tasks = TaskSettings.taken_from(training)
    assert training == {"learning_rate": 1.0} and tasks.characteristics == ["oReact", "xWant"]
    assert TaskSettings(first_stage="speakers").characteristics == []
    with pytest.raises(EmoNetError, match="'moods' is not one of"):
        TaskSettings(first_stage="moods")
    with pytest.raises(EmoNetError, match="impact_weight"):
        TaskSettings(impact_weight=-1)
