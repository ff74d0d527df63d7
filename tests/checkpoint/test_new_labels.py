"""New labels for a trained model, by the usual calls of transformers."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABEL_MAPS, LABELS, build, text_config
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from emonet.checkpoint import files
from emonet.configuration_emonet import EmoNetConfig
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config

OLD = {"class_weights": [1.0, 2, 3, 4, 5, 6, 7], "calibration_temperature": 2.0, "dataset_version": "old/1"}
NEW = {"id2label": {0: "up", 1: "down", 2: "flat"}, "label2id": {"up": 0, "down": 1, "flat": 2}}
LOADERS = (AutoModelForSequenceClassification, AutoModel, EmoNetForSequenceClassification)
IGNORE = {"ignore_mismatched_sizes": True}


@pytest.fixture
def run(tokenizer: Any, tmp_path: Path) -> str:
    model, model.processor = build(tokenizer, "emonet", **OLD)
    with torch.no_grad():
        model.classifier.class_bias.copy_(torch.arange(7))
    model.save_pretrained(tmp_path / "run")
    return str(tmp_path / "run")


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    for name in ("emonet", "transformers"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    return caplog


def of_old_labels(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if "New labels" in record.getMessage()]


def check_new(model: Any, names: list[str]) -> None:
    config = model.config
    assert config.label_names == names
    assert config.label2id == {name: index for index, name in enumerate(names)}
    assert config.class_weights is None and config.dataset_version is None
    assert config.calibration_temperature == 1 and not model.classifier.class_bias.any()
    assert model.processor.config is config
    assert set(model.predict("no")[0]["scores"]) == set(names)


@pytest.mark.parametrize(
    "loader", [AutoModelForSequenceClassification, AutoModel, EmoNetForSequenceClassification]
)
@pytest.mark.parametrize(
    "labels", [{"num_labels": 3}, NEW, {"id2label": NEW["id2label"]}, {**NEW, "num_labels": 3}]
)
def test_new_labels_by_keyword(run: str, loader: Any, labels: Any, warnings: Any) -> None:
    model = loader.from_pretrained(run, **labels, **IGNORE)
    check_new(model, ["up", "down", "flat"] if "id2label" in labels else ["LABEL_0", "LABEL_1", "LABEL_2"])
    [warning] = of_old_labels(warnings)
    for name in (*OLD, "class_bias"):
        assert name in warning
    turns = model.processor([[{**turn, "emotion": None} for turn in DIALOGUE]])
    turns["labels"] = torch.tensor([[0, 1, 2, 0, 1, 2]])
    assert torch.isfinite(model(**turns).loss)


@pytest.mark.parametrize("labels", [{"num_labels": 3}, NEW])
def test_sizes_differ_as_for_any_model(run: str, labels: Any) -> None:
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForSequenceClassification.from_pretrained(run, **labels)
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        EmoNetForSequenceClassification.from_pretrained(run, **labels)


def test_new_labels_by_configuration(run: str, tmp_path: Path, warnings: Any) -> None:
    config = AutoConfig.from_pretrained(run, num_labels=3)
    assert len(of_old_labels(warnings)) == 1
    check_new(
        EmoNetForSequenceClassification.from_pretrained(run, config=config, **IGNORE), config.label_names
    )
    changed = AutoConfig.from_pretrained(run)
    changed.num_labels = 3
    model = EmoNetForSequenceClassification.from_pretrained(run, config=changed, **IGNORE)
    check_new(model, ["LABEL_0", "LABEL_1", "LABEL_2"])
    model.save_pretrained(tmp_path / "again")
    check_new(AutoModel.from_pretrained(tmp_path / "again"), ["LABEL_0", "LABEL_1", "LABEL_2"])


def test_as_many_other_labels_keep_the_weights_alone(run: str) -> None:
    names = dict(enumerate("abcdefg"))
    model = AutoModelForSequenceClassification.from_pretrained(run, id2label=names)
    check_new(model, list("abcdefg"))
    trained = EmoNetForSequenceClassification.from_pretrained(run)
    assert torch.equal(model.classifier.members[0][1].weight, trained.classifier.members[0][1].weight)


def test_weights_given_for_the_new_labels_stay(run: str) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(run, **NEW, class_weights=[1, 2, 3], **IGNORE)
    assert model.config.class_weights == [1, 2, 3]


def test_the_same_labels_drop_nothing(run: str, warnings: Any) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(
        run, num_labels=7, id2label=dict(enumerate(LABELS))
    )
    assert {name: getattr(model.config, name) for name in OLD} == OLD
    assert model.classifier.class_bias.tolist() == list(range(7)) and not of_old_labels(warnings)


def test_renaming_keeps_everything(run: str, tmp_path: Path) -> None:
    model = EmoNetForSequenceClassification.from_pretrained(run)
    before = list(model.predict("no")[0]["scores"].values())
    model.config.id2label = {index: name.upper() for index, name in enumerate(LABELS)}
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "again")
    assert again.config.label2id == {name.upper(): index for index, name in enumerate(LABELS)}
    scores = again.predict("no")[0]["scores"]
    assert list(scores.values()) == pytest.approx(before, abs=1e-6) and set(scores) == set(
        again.config.label2id
    )
    assert again.config.class_weights == OLD["class_weights"]


def test_labels_that_clash_are_told(run: str) -> None:
    with pytest.raises(EmoNetError, match=r"num_labels=4, but id2label names 3 labels"):
        AutoModelForSequenceClassification.from_pretrained(run, num_labels=4, **NEW, **IGNORE)


def test_heads_without_their_backbone(
    tokenizer: Any, tmp_path: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, name = tmp_path / "backbone", "tiny-org/tiny-backbone"
    AutoModel.from_config(text_config("bert")).save_pretrained(backbone)
    tokenizer.save_pretrained(backbone)
    for function, result in (("resolve_backbone", str(backbone)), ("backbone_name", name), ("hub_id", name)):
        monkeypatch.setattr(files.package, function, lambda _, result=result: result)
    fields = {**preset_config("emonet-fast", False, 3), **LABEL_MAPS, **OLD}
    model = EmoNetForSequenceClassification.from_backbone(name, num_speakers=3, **fields)
    model.processor = EmoNetProcessor.from_backbone(name, model.config)
    model.save_pretrained(tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    for loader in (AutoModelForSequenceClassification, EmoNetForSequenceClassification):
        with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            loader.from_pretrained(tmp_path / "run", **NEW)
        warnings.clear()
        new = loader.from_pretrained(tmp_path / "run", **NEW, **IGNORE)
        assert len(of_old_labels(warnings)) == 1
        check_new(new, ["up", "down", "flat"])
    new.save_pretrained(tmp_path / "again")
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path / "again")
    assert again.predict("no")[0]["scores"] == pytest.approx(new.predict("no")[0]["scores"], abs=1e-6)


def test_a_processor_takes_the_configuration_of_its_model(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet")
    processor.config = EmoNetConfig.from_dict(model.config.to_dict())
    model.processor = processor
    assert processor.config is model.config
