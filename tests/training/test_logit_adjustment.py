"""Cross-fitted heads leave their fold out; the class bias is right and saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from tiny import DIALOGUE, LABELS, OTHER, build, logits
from tiny_training import encoded, trainer_for

from emonet.errors import EmoNetError
from emonet.fine_tuning.encoding import EncodedSplit
from emonet.inference.predict import predict_logits
from emonet.inference.session import EmoNetSession
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.train_trainer import EmoNetTrainingArguments
from emonet.training.logit_adjustment import (
    adjust_logits,
    assign_folds,
    fit_class_bias,
    member_labels,
    out_of_fold_logits,
    prepare_adjustment,
)

MEMBERS = 3


def parts_with_folds(tokenizer: Any, **changes: Any) -> Any:
    parts = encoded(tokenizer, "context", head_members=MEMBERS, **changes)
    assign_folds(parts[2], MEMBERS)
    return parts


def test_a_member_learns_from_all_dialogues_but_its_own_fold(tokenizer: Any, tmp_path: Path) -> None:
    model, processor, split, collator = parts_with_folds(tokenizer)
    trainer = trainer_for((model, processor, split, collator), tmp_path)
    for fold in range(MEMBERS):
        model.zero_grad()
        trainer.compute_loss(
            model, collator([window for window in split.examples if window["fold"] == fold])
        ).backward()
        trained = [
            any(p.grad is not None and p.grad.any() for p in member.parameters())
            for member in model.classifier.members
        ]
        assert trained == [member != fold for member in range(MEMBERS)]


def test_a_dialogue_has_one_fold_and_folds_are_even(tokenizer: Any) -> None:
    split = parts_with_folds(tokenizer)[2]
    assert all(len({window["fold"] for window in windows}) == 1 for windows in split.windows)
    sizes = np.bincount([windows[0]["fold"] for windows in split.windows])
    assert len(sizes) == MEMBERS and sizes.max() - sizes.min() <= 1


def test_accumulation_does_not_change_a_cross_fitted_step(tokenizer: Any, tmp_path: Path) -> None:
    norms = []
    for batch in (16, 4, 2):
        trainer = trainer_for(
            parts_with_folds(tokenizer),
            tmp_path / str(batch),
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=16 // batch,
            max_grad_norm=1e9,
            learning_rate=0.0,
            logging_strategy="steps",
            logging_steps=1,
        )
        trainer.train()
        norms.append(
            next(float(entry["grad_norm"]) for entry in trainer.state.log_history if "grad_norm" in entry)
        )
    assert norms == pytest.approx([norms[0]] * 3, abs=1e-4) and norms[0] > 1e-3


def test_member_labels_hide_the_own_fold() -> None:
    labels = torch.tensor([[1, 2, -100], [3, 4, 5]])
    found = member_labels(labels, torch.tensor([1, 0]), 2)
    assert found.tolist() == [[[1, -100], [2, -100], [-100, -100]], [[-100, 3], [-100, 4], [-100, 5]]]


def test_out_of_fold_logits_come_from_the_member_of_the_fold(tokenizer: Any) -> None:
    model, processor, split, collator = parts_with_folds(tokenizer)
    computed, start = out_of_fold_logits(model, split, collator, batch_size=5), 0
    for row, windows in zip(split.rows, split.windows, strict=True):
        with torch.no_grad():
            expected = (
                model(**processor([row["turns"]])).member_logits[0, :, windows[0]["fold"]].log_softmax(-1)
            )
        assert np.allclose(computed[start : start + len(row["turns"])], expected.numpy(), atol=1e-5)
        start += len(row["turns"])
    assert start == len(computed) == len(split.labels())


def test_the_bias_undoes_a_tilt_on_new_turns() -> None:
    random = np.random.default_rng(0)
    gold = random.choice(4, size=6000, p=[0.6, 0.2, 0.15, 0.05])
    tilted = random.normal(size=(6000, 4)) + np.eye(4)[gold] + np.array([3.0, 0.0, 0.0, -1.0])
    gold[::50] = -100
    first, second = slice(0, 3000), slice(3000, 6000)
    bias = fit_class_bias(tilted[first], gold[first], np.arange(3000) // 10)
    kept = gold[second] != -100

    def score(logits: np.ndarray) -> float:
        return f1_score(gold[second][kept], logits[second][kept].argmax(-1), average="weighted")

    assert bias.mean() == pytest.approx(0, abs=1e-9) and bias[0] < -0.1 < 0.1 < bias[3]
    assert score(tilted + bias) > score(tilted) + 0.01


def test_the_bias_is_in_every_prediction_and_survives_saving(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = parts_with_folds(tokenizer)[:2]
    model.processor = processor
    before = logits(model, processor, DIALOGUE, OTHER)
    model.classifier.class_bias.copy_(torch.linspace(-2, 2, len(LABELS)))
    after = logits(model, processor, DIALOGUE, OTHER)
    assert torch.allclose(after - before, torch.linspace(-2, 2, len(LABELS)).expand_as(after), atol=1e-6)
    model.save_pretrained(tmp_path)
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(logits(loaded, processor, DIALOGUE, OTHER), after)
    session, whole = EmoNetSession(loaded, processor), loaded.predict(DIALOGUE)
    for turn, expected in zip(DIALOGUE, whole, strict=True):
        row = session.add(turn["speaker"], turn["text"])
        assert row["label"] == expected["label"]
        assert row["score"] == pytest.approx(expected["score"], abs=1e-4)


def test_an_old_checkpoint_has_no_bias(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "context", head_members=MEMBERS)
    model.processor = processor
    model.save_pretrained(
        tmp_path, state_dict={k: v for k, v in model.state_dict().items() if "class_bias" not in k}
    )
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded.classifier.class_bias, torch.zeros(len(LABELS)))


@pytest.mark.parametrize("adjustment", ["out_of_fold", "validation"])
def test_adjusting_sets_a_bias_of_mean_zero(tokenizer: Any, adjustment: str) -> None:
    model, _, split, collator = parts_with_folds(tokenizer)
    adjust_logits(model, split, collator, adjustment)
    bias = model.classifier.class_bias.tolist()
    assert sum(bias) == pytest.approx(0, abs=1e-3)
    assert any(bias), "untrained heads need a bias"
    adjust_logits(model, split, collator, adjustment)
    assert model.classifier.class_bias.tolist() == bias, "an earlier bias does not count"


@pytest.mark.parametrize("adjustment", ["out_of_fold", "validation"])
def test_the_trainer_fits_the_bias_to_one_split_alone(
    tokenizer: Any, tmp_path: Path, adjustment: str
) -> None:
    parts = encoded(tokenizer, "context", head_members=MEMBERS)
    validation = EncodedSplit(parts[2].rows[:9], parts[1])
    trainer = trainer_for(parts, tmp_path, eval_strategy="epoch", logit_adjustment=adjustment)
    trainer.eval_dataset = validation
    trainer.train()
    bias = trainer.class_bias
    assert bias is not None and any(bias)
    split = parts[2] if adjustment == "out_of_fold" else validation
    adjust_logits(parts[0], split, parts[3], adjustment)
    assert trainer.class_bias == bias


@pytest.mark.parametrize("members", [1, MEMBERS])
def test_the_bias_of_validation_undoes_a_tilt(tokenizer: Any, members: int) -> None:
    model, processor, split, collator = encoded(tokenizer, "context", head_members=members)
    with torch.no_grad():
        for member in model.classifier.members if members > 1 else [model.classifier]:
            member[-1].bias[0] += 0.8  # every turn gets the first label

    def score() -> float:
        found = np.concatenate(predict_logits(model, processor, split.windows, collator.memory)).argmax(-1)
        kept = split.labels() >= 0
        return f1_score(split.labels()[kept], found[kept], average="weighted")

    before = score()
    bias = adjust_logits(model, split, collator, "validation")
    assert score() > before and bias[0] < 0


def test_wrong_adjustments_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="'out_of_fold' needs several heads; set head_members=5"):
        prepare_adjustment("out_of_fold", encoded(tokenizer)[2], 1)
    with pytest.raises(
        EmoNetError, match="logit_adjustment='oof' is not one of none, out_of_fold, validation"
    ):
        EmoNetTrainingArguments(output_dir=str(tmp_path), logit_adjustment="oof")


def test_the_bias_is_the_best_of_every_step_tried_alone() -> None:
    random = np.random.default_rng(3)
    gold = random.choice(3, size=60, p=[0.5, 0.3, 0.2])
    scores = np.round(random.normal(size=(60, 3)) + np.eye(3)[gold], 1)  # rounded: with ties
    drawn = np.random.default_rng(0).integers(60, size=60)  # the first resample
    bias, best = np.zeros(3), -1.0
    for _ in range(4):
        for label in range(3):
            for step in [bias[label], *np.linspace(-1, 1, 21)]:
                tried = np.where(np.arange(3) == label, step, bias)
                score = f1_score(gold[drawn], (scores[drawn] + tried).argmax(-1), average="weighted")
                if score > best + 1e-12:
                    best, bias = score, tried
    found = fit_class_bias(scores, gold, np.arange(60), resamples=1)
    assert found == pytest.approx(bias - bias.mean(), abs=1e-12) and bias.any()
