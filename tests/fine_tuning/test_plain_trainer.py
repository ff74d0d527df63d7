"""The plain Trainer of transformers saves, resumes and pushes whole repositories."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from fake_hub import USER, FakeHub
from tiny import DIALOGUE, build
from transformers import Trainer, TrainingArguments

from emonet.modeling_emonet import EmoNetForSequenceClassification

WHOLE = {
    *("config.json", "model.safetensors", "tokenizer.json", "speakers.json", "README.md", "handler.py"),
    *("requirements.txt", "modeling_emonet.py", "processing_emonet.py", "pipeline_emonet.py"),
}


def trainer_of(tokenizer: Any, folder: Path, **arguments: Any) -> Trainer:
    model, model.processor = build(tokenizer, "context")
    rows = [{**turn, "dialogue_id": key} for key in "abcd" for turn in DIALOGUE]
    validation = [{**turn, "dialogue_id": "e"} for turn in reversed(DIALOGUE)]
    splits = DatasetDict({"train": Dataset.from_list(rows), "validation": Dataset.from_list(validation)})
    data = model.prepare(splits)
    args = TrainingArguments(
        str(folder),
        use_cpu=True,
        disable_tqdm=True,
        per_device_train_batch_size=2,
        num_train_epochs=2,
        learning_rate=1e-3,
        report_to="none",
        **arguments,
    )
    return Trainer(
        model, args, data.collator, data["train"], data["validation"], compute_metrics=data.compute_metrics
    )


def test_a_checkpoint_is_whole_and_is_resumed(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_of(tokenizer, tmp_path / "one", save_strategy="epoch", eval_strategy="epoch")
    trainer.train()
    checkpoint = tmp_path / "one" / "checkpoint-2"
    assert {path.name for path in checkpoint.iterdir()} >= WHOLE
    again = trainer_of(tokenizer, tmp_path / "two")
    again.train(resume_from_checkpoint=str(checkpoint))
    assert again.state.global_step == 4
    assert again.model is not None and trainer.model is not None
    scores = again.model.predict(DIALOGUE)[0]["scores"]
    assert scores == pytest.approx(trainer.model.predict(DIALOGUE)[0]["scores"], abs=1e-5)


def test_pushes_keep_card_code_and_handler(tokenizer: Any, tmp_path: Path) -> None:
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        trainer = trainer_of(
            tokenizer,
            tmp_path / "run",
            push_to_hub=True,
            hub_model_id=f"{USER}/tuned",
            hub_always_push=True,
            save_strategy="epoch",
        )
        trainer.train()
        trainer._finish_current_push()
        assert set(hub.files(f"{USER}/tuned")) >= WHOLE
        trainer.push_to_hub()
        files = hub.files(f"{USER}/tuned")
        card = files["README.md"].decode()
        assert set(files) >= WHOLE and "<!-- emonet:begin usage -->" in card
        assert f"{USER}/tuned" in card and "generated_from_trainer" not in card
        pushed = EmoNetForSequenceClassification.from_pretrained(f"{USER}/tuned")
        assert trainer.model is not None
        assert pushed.predict(DIALOGUE) == trainer.model.predict(DIALOGUE)


def test_other_models_keep_the_trainers_card(tmp_path: Path, backbone: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(backbone)
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    trainer = Trainer(model, args)
    trainer.hub_model_id = None
    trainer.create_model_card()
    assert "generated_from_trainer" in (tmp_path / "README.md").read_text()
