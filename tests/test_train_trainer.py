"""The Trainer: an exact loss, class weights, and the best epoch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import WEIGHTS, encoded, first_step, trainer_for

from emonet.errors import EmoNetError
from emonet.fine_tuning.class_weights import class_weights
from emonet.layers.loss import weighted_cross_entropy
from emonet.train_trainer import EmoNetTrainer, EmoNetTrainingArguments


@pytest.mark.parametrize(
    ("preset", "smoothing"), [("dialogue-memory", 0.0), ("dialogue-memory", 0.1), ("hitrans", 0.1)]
)
def test_accumulation_does_not_change_the_step(
    tokenizer: Any, tmp_path: Path, preset: str, smoothing: float
) -> None:
    results = [
        first_step(
            tokenizer, tmp_path / str(batch), batch, 16 // batch, preset, label_smoothing_factor=smoothing
        )[:2]
        for batch in (16, 4, 2)
    ]
    for norm, loss in results[1:]:
        assert norm == pytest.approx(results[0][0], abs=1e-4)
        assert loss == pytest.approx(results[0][1], abs=1e-4)
    assert results[0][0] > 1e-3


@pytest.mark.parametrize("preset", ["hitrans", "spcl"])
def test_a_modules_own_loss_joins_in_training_only(tokenizer: Any, tmp_path: Path, preset: str) -> None:
    parts = encoded(tokenizer, preset)
    trainer = trainer_for(parts, tmp_path)
    batch = parts[3]([parts[2][index] for index in range(16)])
    model = trainer.model.train()
    loss, outputs = trainer.compute_loss(model, batch, return_outputs=True)
    plain, weight = weighted_cross_entropy(outputs.member_logits, batch["labels"], WEIGHTS)
    kept = batch["labels"] != -100
    own = (outputs.auxiliary_losses[kept] * torch.tensor(WEIGHTS)[batch["labels"][kept]]).sum()
    assert own > 0 and float(loss) == pytest.approx(float((plain + own) / weight), rel=1e-5)
    assert float(loss) == pytest.approx(
        float(model(**batch).loss), rel=1e-3
    )  # SPCL's queue is one step further
    evaluated, outputs = trainer.compute_loss(model.eval(), batch, return_outputs=True)
    assert outputs.auxiliary_losses is None and float(evaluated) == pytest.approx(
        float(plain / weight), rel=1e-5
    )


def test_the_loss_is_torchs_weighted_mean() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 5, 7), torch.randint(0, 7, (4, 5))
    labels[0, 3:] = -100
    total, weight = weighted_cross_entropy(logits, labels, WEIGHTS)
    expected = torch.nn.functional.cross_entropy(logits.view(-1, 7), labels.view(-1), torch.tensor(WEIGHTS))
    assert torch.allclose(total / weight, expected)


TWO_PROCESSES = """
import json, os, sys
from pathlib import Path
import torch
sys.path.insert(0, {root!r})
from tiny import make_tokenizer
from tiny_training import first_step
assert os.environ["WORLD_SIZE"] == "2"
result = first_step(make_tokenizer(), Path({folder!r}), 8, 1, ddp_backend="gloo")
if os.environ["RANK"] == "0":
    Path({folder!r}, "result.json").write_text(json.dumps(result))
torch.distributed.destroy_process_group()  # gloo's threads abort a process that just ends
"""


@pytest.mark.slow
def test_two_processes_take_the_step_of_one(tokenizer: Any, tmp_path: Path) -> None:
    import json

    script = tmp_path / "run.py"
    root = str(Path(__file__).parent / "helpers")
    script.write_text(TWO_PROCESSES.format(root=root, folder=str(tmp_path)))
    # accelerate starts several local processes with --multi_gpu only; use_cpu makes them
    # talk over gloo.
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options.split()]
    command = [*launch, "--main_process_port", "0", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr[-3000:]
    norm, loss, figures = json.loads((tmp_path / "result.json").read_text())
    alone = first_step(tokenizer, tmp_path / "alone", 16, 1)
    assert norm == pytest.approx(alone[0], abs=1e-4)
    assert loss == pytest.approx(alone[1], abs=1e-4)
    assert figures == pytest.approx(alone[2], abs=1e-6) and figures["accuracy"] > 0


@pytest.mark.parametrize("save", ["no", "epoch"])
def test_the_best_epoch_on_validation_is_kept(tokenizer: Any, tmp_path: Path, save: str) -> None:
    trainer = trainer_for(
        encoded(tokenizer),
        tmp_path,
        save_strategy=save,
        eval_strategy="epoch",
        num_train_epochs=4,
        learning_rate=3e-3,
        per_device_train_batch_size=4,
    )
    trainer.train()
    scores = [entry["eval_weighted_f1"] for entry in trainer.state.log_history if "eval_weighted_f1" in entry]
    assert len(scores) == 4
    assert trainer.evaluate()["eval_weighted_f1"] == pytest.approx(max(scores))


def test_training_resumes_to_the_same_weights(tokenizer: Any, tmp_path: Path) -> None:
    settings = {
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "learning_rate": 1e-3,
        "save_total_limit": None,
        "load_best_model_at_end": False,
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
    }
    whole = trainer_for(encoded(tokenizer), tmp_path / "whole", **settings)
    whole.train()
    again = trainer_for(encoded(tokenizer), tmp_path / "again", **settings)
    first = min((tmp_path / "whole").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    again.train(resume_from_checkpoint=str(first))
    for left, right in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.allclose(left, right, atol=1e-6)


def test_bfloat16_takes_nearly_the_same_step_where_there_is_no_gpu(tokenizer: Any, tmp_path: Path) -> None:
    norm, loss, _ = first_step(tokenizer, tmp_path / "float32", 16, 1)
    half_norm, half_loss, _ = first_step(tokenizer, tmp_path / "bfloat16", 16, 1, bf16=True)
    assert loss == pytest.approx(half_loss, rel=0.02) and norm == pytest.approx(half_norm, rel=0.1)
    assert (norm, loss) != (half_norm, half_loss), "it computed in float32"
    if not torch.accelerator.is_available():
        assert EmoNetTrainingArguments(output_dir=str(tmp_path), bf16=True).use_cpu


@pytest.mark.parametrize("first", [False, True])
def test_a_second_trainer_computes_in_its_own_precision(tokenizer: Any, tmp_path: Path, first: bool) -> None:
    parts = encoded(tokenizer)
    trainer_for(parts, tmp_path / "first", bf16=first, learning_rate=0.0).train()
    second = trainer_for(parts, tmp_path / "second", bf16=not first, learning_rate=0.0)
    seen = []
    parts[0].classifier.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    second.train()
    assert set(seen) == {not first}


def test_early_stopping_without_checkpoints(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_for(
        encoded(tokenizer),
        tmp_path,
        eval_strategy="epoch",
        num_train_epochs=50,
        learning_rate=0.0,
        early_stopping_patience=2,
    )
    trainer.train()
    assert trainer.state.epoch == 3


def test_learning_rate_mapping(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_for(
        encoded(tokenizer), tmp_path, learning_rate_mapping={"^classifier": 0.5}, learning_rate=0.1
    )
    groups = trainer.create_optimizer().param_groups
    fast = {id(parameter) for group in groups if group["lr"] == 0.5 for parameter in group["params"]}
    assert fast == {id(parameter) for parameter in trainer.model.classifier.parameters()}
    with pytest.raises(EmoNetError, match="no parameter matches 'nothing'"):
        trainer_for(encoded(tokenizer), tmp_path, learning_rate_mapping={"nothing": 1.0}).create_optimizer()


def test_class_weights() -> None:
    labels = [0] * 8 + [1] * 2 + [-100] * 5
    assert class_weights(labels, 3, "none") is None
    inverse = class_weights(labels, 3, "inverse")
    assert inverse is not None
    assert inverse[1] / inverse[0] == pytest.approx(4, rel=1e-4) and inverse[2] == inverse[1]
    root = class_weights(labels, 2, "sqrt_inverse")
    assert root is not None and root[1] / root[0] == pytest.approx(2, rel=1e-4)
    effective = class_weights(labels, 2, "effective")
    assert (
        effective is not None
        and effective[1] > effective[0]
        and np.mean(effective) == pytest.approx(1, abs=1e-5)
    )
    with pytest.raises(EmoNetError, match="not one of"):
        class_weights(labels, 2, "balanced")


def test_wrong_datasets_are_named(tokenizer: Any, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    model, _, _, collator = encoded(tokenizer)
    raw = Dataset.from_dict({"text": ["hi"], "emotion": [0]})
    for dataset, message in (
        (raw, r"raw columns \['text', 'emotion'\]"),
        (DatasetDict(train=raw), "whole corpus"),
        ([{"labels": [0]}], "lacks speaker_ids"),
        ([], "is empty"),
    ):
        with pytest.raises(EmoNetError, match=message):
            EmoNetTrainer(
                model=model,
                args=EmoNetTrainingArguments(output_dir=str(tmp_path), use_cpu=True),
                train_dataset=dataset,
                data_collator=collator,
            )
    with pytest.raises(EmoNetError, match="class_weighting='all'"):
        EmoNetTrainingArguments(output_dir=str(tmp_path), class_weighting="all")


def test_no_token_is_pickled(tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="HF_TOKEN"):
        EmoNetTrainingArguments(output_dir=str(tmp_path), hub_token="hf_secret")
