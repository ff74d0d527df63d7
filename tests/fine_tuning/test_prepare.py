"""`prepare`: a dataset becomes training data, and bad ones are refused."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from tiny import LABELS, build
from tiny_training import encoded
from transformers import Trainer, TrainingArguments

from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics
from emonet.fine_tuning.encoding import weighted_f1
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.train_trainer import EmoNetTrainer, EmoNetTrainingArguments

TURNS = {
    "dialogue_id": ["a", "a", "a", "b", "b"],
    "speaker": ["Ann", "Zed", "Ann", "Zed", "The Waiter"],
    "text": ["great we won", "no", "ok", "leave me alone", ""],
    "emotion": ["Joyful", "Sad", None, "Mad", "Neutral"],
}
DEV = {"dialogue_id": ["a"], "speaker": ["Zed"], "text": ["i hate this"], "emotion": ["Mad"]}


def splits(**changes: Any) -> DatasetDict:
    return DatasetDict(
        {"train": Dataset.from_dict({**TURNS, **changes}), "validation": Dataset.from_dict(DEV)}
    )


@pytest.fixture
def model(tokenizer: Any) -> Any:
    model, model.processor = build(tokenizer, "emonet-thesis", calibration_temperature=2.0)
    return model


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("emonet"), "propagate", True)
    return caplog


def test_turns_labels_weights_and_persons(model: Any, notes: pytest.LogCaptureFixture) -> None:
    data = model.prepare(splits())
    train = data["train"]
    expected = [LABELS.index(name) if name else -100 for name in TURNS["emotion"]]
    assert train.labels().tolist() == expected and len(train.rows) == 2
    weights = np.array(model.config.class_weights)
    assert weights[[label for label in expected if label >= 0]].mean() == pytest.approx(1, abs=1e-5)
    assert [window["speaker_ids"] for window in train.examples] == [[1, 0, 1], [0, 0]]
    assert model.config.calibration_temperature == 1.0
    assert model.config.dataset_version.startswith("dataset-")
    told = notes.text
    for fact in ("trained: encoder", "frozen: memory_encoder", "2 dialogues, 5 turns", "1, such as Zed"):
        assert fact in told
    assert "Joyful 1.00" in told and "name another dialogue in a second one: 1" in told


def test_memory_over_the_corpus_or_the_dialogue(model: Any) -> None:
    assert model.config.speaker_memory == "corpus"
    rows = model.prepare(splits())["train"].examples
    assert rows[1]["memory_index"] == [[1], []]  # Zed in dialogue a; a role is somebody else
    # A validation turn sees the train split and its own.
    assert model.prepare(splits())["validation"].examples[0]["memory_index"] == [[1, 3]]
    assert model.prepare(splits(), speaker_memory="dialogue")["train"].examples[1]["memory_index"] == [[], []]
    assert model.config.speaker_memory == "dialogue"
    with pytest.raises(EmoNetError, match="choose dialogue or corpus"):
        model.prepare(splits(), speaker_memory="all")


def test_new_persons_get_ids(model: Any, tmp_path: Path) -> None:
    before = model.emonet.speaker_embedding.weight.detach().clone()
    train = model.prepare(splits(), new_speakers=True)["train"]
    assert [window["speaker_ids"] for window in train.examples] == [[1, 3, 1], [3, 0]]
    after = model.emonet.speaker_embedding.weight
    assert model.config.num_speakers == 4 and torch.equal(after[:3], before)
    assert torch.equal(after[3], before[0])
    model.save_pretrained(tmp_path)
    assert EmoNetForSequenceClassification.from_pretrained(tmp_path).processor.speakers["Zed"] == 3


def test_nobody_is_a_person_if_all_are_roles(model: Any) -> None:
    train = model.prepare(splits(), speakers="roles")["train"]
    assert [window["speaker_ids"] for window in train.examples] == [[0, 0, 0], [0, 0]]


def test_other_columns_and_forms(model: Any) -> None:
    expected = model.prepare(splits())["train"].examples
    renamed = Dataset.from_dict(
        {
            "scene": TURNS["dialogue_id"],
            "who": TURNS["speaker"],
            "line": TURNS["text"],
            "tag": TURNS["emotion"],
        }
    )
    columns = {"dialogue_id": "scene", "speaker": "who", "text": "line", "emotion": "tag"}
    assert model.prepare(renamed, columns).examples == expected
    assert model.prepare(pd.DataFrame(TURNS)).examples == expected
    ids = [-1 if name is None else LABELS.index(name) for name in TURNS["emotion"]]
    labelled = Dataset.from_dict({**TURNS, "emotion": ids}).rename_column("emotion", "label")
    labelled = labelled.cast_column("label", ClassLabel(names=LABELS))
    assert model.prepare(labelled).examples == expected
    dialogues = [
        {
            "dialogue_id": key,
            "turns": [{field: TURNS[field][row] for field in ("speaker", "text", "emotion")} for row in rows],
        }
        for key, rows in (("a", (0, 1, 2)), ("b", (3, 4)))
    ]
    assert model.prepare(Dataset.from_list(dialogues)).examples == expected


def test_turn_numbers_put_rows_in_order(model: Any) -> None:
    expected = model.prepare(Dataset.from_dict(TURNS)).examples
    mixed = Dataset.from_dict({**TURNS, "turn": [0, 1, 2, 0, 1]}).select([0, 3, 2, 4, 1])
    with pytest.raises(EmoNetError, match=r"row 2: dialogue 'a' begins again .*interleaved=True"):
        model.prepare(mixed)
    assert model.prepare(mixed, interleaved=True).examples == expected


def loaded(model: Any, folder: Path, **labels: Any) -> Any:
    model.save_pretrained(folder)
    return EmoNetForSequenceClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **labels)


def test_new_labels_start_a_new_classifier(model: Any, tmp_path: Path) -> None:
    """Also where there are as many as before, whose weights transformers keeps."""
    old = model.classifier[-1].weight.detach().clone()
    data = splits(emotion=["g", "f", "e", "d", None])
    data["validation"] = Dataset.from_dict({**DEV, "emotion": ["a"]})
    new = loaded(model, tmp_path, id2label=dict(enumerate("abcdefg")))
    assert torch.equal(new.classifier[-1].weight, old)
    new.prepare(data)
    assert not torch.isclose(new.classifier[-1].weight, old).any()
    started = new.classifier[-1].weight.detach().clone()
    new.prepare(data)  # once alone
    assert torch.equal(new.classifier[-1].weight, started)


def test_numbered_labels_get_the_datasets_names(model: Any, tmp_path: Path) -> None:
    new = loaded(model, tmp_path, num_labels=4)
    new.prepare(splits())
    assert new.config.label_names == ["Joyful", "Mad", "Neutral", "Sad"]
    assert new.config.label2id["Sad"] == 3


def test_a_clash_of_labels_says_the_call(model: Any, tmp_path: Path) -> None:
    call = r"id2label=\{0: 'Mad', 1: 'joy', 2: 'joyful', 3: 'sad'\}, ignore_mismatched_sizes=True"
    with pytest.raises(EmoNetError, match=rf"the label joy, and the model has Joyful, Mad.*{call}"):
        model.prepare(splits(emotion=["joy", "sad", None, "mad", "joyful"]))
    with pytest.raises(EmoNetError, match=r"num_labels=3, but the dataset has 4 labels: .*id2label="):
        loaded(model, tmp_path, num_labels=3).prepare(splits())


def test_letter_case_makes_no_label(model: Any) -> None:
    data = model.prepare(splits(emotion=["JOYFUL", "sad", None, "Mad", "Neutral"]))
    assert data["train"].labels()[:2].tolist() == [LABELS.index("Joyful"), LABELS.index("Sad")]


@pytest.mark.parametrize(
    "data, options, message",
    [
        (
            Dataset.from_dict({"id": ["a"], "words": ["x"]}),
            {},
            r"The dataset: no column speaker, text, emotion, dialogue_id; its columns are id, words",
        ),
        (splits(), {"columns": {"text": "utterance"}}, r"train split: no column 'utterance' for the text"),
        (splits(), {"columns": {"words": "text"}}, r"no such field; the fields are dialogue_id, turn"),
        (splits(emotion=[1, 2, None, 3, 4]), {}, r"train split, row 0, emotion: 1 .*cast_column\('emotion'"),
        (splits(emotion=[None] * 5), {}, r"train split: no turn has a label to learn from"),
        (splits().filter(lambda row: False), {}, r"no rows"),
        (splits(), {"class_weighting": "square"}, r"Class weighting 'square' is not one of none, inverse"),
        ("train.csv", {}, r"got str; read files with datasets.load_dataset\(\"csv\""),
        (Dataset.from_dict(TURNS).to_iterable_dataset(), {}, r"without streaming=True"),
        (
            DatasetDict({"train": Dataset.from_dict(DEV), "test": Dataset.from_dict(DEV)}),
            {},
            r"Dialogue 'a' stands in train and in test with the same turns",
        ),
        (
            DatasetDict(
                {
                    "train": Dataset.from_dict({**DEV, "turn": [0]}),
                    "test": Dataset.from_dict({**DEV, "turn": [1], "text": ["no"]}),
                }
            ),
            {},
            r"divide whole dialogues between the splits",
        ),
    ],
)
def test_bad_datasets_are_refused(model: Any, data: Any, options: Any, message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        model.prepare(data, **options)


def test_a_model_without_ids_or_memory_says_so(tokenizer: Any) -> None:
    model, model.processor = build(tokenizer, "context")
    with pytest.raises(EmoNetError, match="the model has no memory"):
        model.prepare(splits(), speaker_memory="corpus")
    model, model.processor = build(tokenizer, "context", speaker_identity="name")
    with pytest.raises(EmoNetError, match="gives persons no ids"):
        model.prepare(splits(), new_speakers=True)


def test_the_travelling_metric_is_the_packages() -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(3, 5, 4)), generator.integers(-1, 3, (3, 5))
    labels[labels < 0] = -100

    class Prediction:
        predictions, label_ids = logits, labels

    expected = emotion_metrics(labels, logits.argmax(-1), list("abcd"))
    for name, value in weighted_f1(Prediction).items():
        assert value == pytest.approx(expected[name]), name


def gradient(kind: Any, arguments: Any, parts: Any, folder: Path, batch: int, steps: int) -> torch.Tensor:
    """The gradient of one optimizer step on all 16 dialogues."""
    model, _, split, collator = parts
    found: list[torch.Tensor] = []

    class Recorder(kind):  # type: ignore[misc]
        def _clip_grad_norm(self, model: Any) -> Any:
            found.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
            return super()._clip_grad_norm(model)

    args = arguments(
        output_dir=str(folder),
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        eval_strategy="no",
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=steps,
        num_train_epochs=1,
        learning_rate=0.0,
        train_sampling_strategy="sequential",
        report_to="none",
    )
    Recorder(model, args, data_collator=collator, train_dataset=split).train()
    assert len(found) == 1
    return found[0]


def test_the_plain_trainers_gradient_is_the_exact_one_scaled(tokenizer: Any, tmp_path: Path) -> None:
    """Its direction is exact, however the step is divided; its length is off by the mean
    weight of the step's labels.
    """
    plain = [
        gradient(Trainer, TrainingArguments, encoded(tokenizer), tmp_path, batch, 16 // batch)
        for batch in (16, 4, 1)
    ]
    parts = encoded(tokenizer)
    exact = gradient(EmoNetTrainer, EmoNetTrainingArguments, parts, tmp_path, 4, 4)
    labels = parts[2].labels()
    mean = np.array(parts[0].config.class_weights)[labels[labels >= 0]].mean()
    for found in plain:
        assert torch.allclose(found, exact * mean, rtol=1e-4, atol=1e-6)
