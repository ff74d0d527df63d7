"""Training continues from a trained EmoNet."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import LABELS, build

from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.runs.continued import continue_training, is_trained
from emonet.runs.options import TrainOptions
from emonet.runs.train import train_run


@pytest.fixture
def run(tokenizer: Any, tmp_path: Path) -> str:
    model, model.processor = build(tokenizer, "emonet")
    model.save_pretrained(tmp_path / "run")
    return str(tmp_path / "run")


def corpus(folder: Path, labels: list[str]) -> str:
    folder.mkdir()
    for split in ("train", "validation"):
        turns = [
            {"dialogue_id": f"{split}{index}", "speaker": speaker, "text": "no ok", "emotion": label}
            for index, label in enumerate(labels)
            for speaker in ("Ann", "Zoe")
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, turns)))
    return str(folder)


def test_other_labels_start_the_classifier_anew(run: str, tmp_path: Path) -> None:
    train_run(
        corpus(tmp_path / "corpus", ["up", "down", "flat"]),
        tmp_path / "out",
        backbone=run,
        progress=False,
        training_overrides={"num_train_epochs": 1, "logit_adjustment": "none"},
    )
    old = EmoNetForSequenceClassification.from_pretrained(run)
    new = EmoNetForSequenceClassification.from_pretrained(tmp_path / "out")
    assert new.config.label_names == ["down", "flat", "up"]
    assert new.processor.speakers == {"Ann": 1, "Bob": 2, "Zoe": 3} and new.config.num_speakers == 4
    assert set(new.predict("no")[0]["scores"]) == {"down", "flat", "up"}
    trained = dict(old.named_parameters())
    encoder = [name for name in trained if name.startswith("emonet.encoder.")]
    assert encoder and all(torch.equal(trained[name], new.get_parameter(name)) for name in encoder)


def test_the_same_labels_keep_the_classifier(run: str, tmp_path: Path) -> None:
    options = TrainOptions(
        dataset=corpus(tmp_path / "corpus", LABELS), output_dir=tmp_path / "out", backbone=run
    )
    model, processor, conversations, _ = continue_training(options)
    old = EmoNetForSequenceClassification.from_pretrained(run)
    assert list(conversations.labels) == model.config.label_names == LABELS
    for name, weight in old.classifier.named_parameters():
        assert torch.equal(weight, model.classifier.get_parameter(name)), name
    assert old.emonet.speaker_embedding is not None and model.emonet.speaker_embedding is not None
    embeddings = model.emonet.speaker_embedding.weight
    assert torch.equal(embeddings[:3], old.emonet.speaker_embedding.weight) and len(embeddings) == 4
    assert processor.config is model.config


def test_as_many_other_labels_start_the_classifier_anew(run: str, tmp_path: Path) -> None:
    options = TrainOptions(
        dataset=corpus(tmp_path / "corpus", list("abcdefg")), output_dir=tmp_path / "out", backbone=run
    )
    model, *_ = continue_training(options)
    old = EmoNetForSequenceClassification.from_pretrained(run).classifier
    for name, weight in model.classifier.named_parameters():
        assert "weight" not in name or not torch.equal(weight, old.get_parameter(name)), name


def test_another_architecture_is_refused(run: str, tmp_path: Path) -> None:
    assert is_trained(run)
    options = TrainOptions(
        dataset=corpus(tmp_path / "corpus", LABELS),
        output_dir=tmp_path / "out",
        backbone=run,
        config_overrides={"memory_window": 3},
    )
    with pytest.raises(EmoNetError, match="memory_window=10, which fine-tuning keeps"):
        continue_training(options)
