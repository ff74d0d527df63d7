"""Training runs: both families go through the same steps and leave the same files."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_corpora import write_dailydialog
from tiny_prompted import LETTERS, load

from emonet.checkpoint.adapters import ADAPTER_WEIGHTS
from emonet.checkpoint.base import EmoNetCheckpoint
from emonet.checkpoint.files import package
from emonet.cli.main import main
from emonet.data import DailyDialog
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.runs.evaluate import evaluate_run
from emonet.runs.options import TrainOptions
from emonet.runs.train import train_run
from emonet.train_trainer import EmoNetTrainer

# The last weights are kept, so that a resumed run shows what it learnt.
TRAINING = {
    "num_train_epochs": 2,
    "save_strategy": "epoch",
    "save_total_limit": 5,
    "load_best_model_at_end": False,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "packed": {"preset": "context", "training_overrides": {**TRAINING, "per_device_train_batch_size": 1}},
    "prompted": {
        "preset": "emonet-lm-prompted",
        "config_overrides": {"window": 1, "trajectory": 0, "biography_budget": 20},
        "training_overrides": {**TRAINING, "lora_rank": 2, "per_device_train_batch_size": 4},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus as files."""
    path = tmp_path_factory.mktemp("corpus")
    load(path)
    return path


def train(family: str, folder: Path, decoder: Path, output: Path, **options: Any) -> dict[str, Any]:
    return train_run(
        str(folder), output, backbone=str(decoder), progress=False, **{**FAMILIES[family], **options}
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corpus_chooses_the_metric_unless_the_training_does(
    family: str, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DailyDialog, "_verify", classmethod(lambda cls, dialogues: None))
    monkeypatch.setattr(DailyDialog, "labels", LETTERS)  # words that the tiny tokenizer knows
    monkeypatch.setattr("emonet.data.dailydialog.DAILYDIALOG_LABELS", LETTERS)
    options = {"data_dir": str(write_dailydialog(tmp_path / "data"))}
    training = {**FAMILIES[family]["training_overrides"], "num_train_epochs": 1, "save_strategy": "no"}
    for chosen in (None, "macro_f1"):
        training |= {"metric_for_best_model": chosen} if chosen else {}
        record = train_run(
            "dailydialog",
            tmp_path / f"run-{chosen}",
            backbone=str(decoder),
            progress=False,
            **{**FAMILIES[family], **options, "training_overrides": training},
        )
        assert record["training"]["metric_for_best_model"] == (chosen or "micro_f1_no_neutral")


def test_both_families_leave_the_same_files_and_record(folder: Path, decoder: Path, tmp_path: Path) -> None:
    nothing = {"num_train_epochs": 1, "save_strategy": "no", "lora_rank": 2}
    records, files = [], []
    for family in FAMILIES:
        record = train(family, folder, decoder, tmp_path / family, training_overrides=nothing)
        assert json.loads((tmp_path / family / "run.json").read_text()) == record
        assert record["preset"] == FAMILIES[family]["preset"] and set(record["seconds"]) == {
            "prepare",
            "train",
        }
        records.append(set(record))
        files.append({path.name for path in (tmp_path / family).iterdir() if path.suffix != ".py"})
    assert records[0] - records[1] == set()
    assert records[1] - records[0] == {"own_share", "load_in_4bit", "tasks", "first_stage"}
    assert files[0] - files[1] == set() and files[1] - files[0] == {"biographies.json"}
    assert {"adapter", "metrics.json", "predictions.jsonl", "README.md", "model.safetensors"} <= files[0]


@pytest.mark.parametrize(
    ("dtype", "given", "bf16"),
    [
        ("bfloat16", {}, True),
        ("float32", {}, False),
        ("auto", {}, False),  # float32 in the environment of the tests
        ("bfloat16", {"bf16": False}, False),
        ("float32", {"bf16": True}, True),
    ],
)
def test_a_trained_backbone_learns_under_autocast_unless_the_training_says(
    dtype: str, given: dict[str, bool], bf16: bool, tmp_path: Path
) -> None:
    options = TrainOptions(dataset="sample", output_dir=tmp_path, dtype=dtype)
    assert options.training_arguments(given, trains_backbone=True).bf16 is bf16
    assert options.training_arguments(given).bf16 is given.get("bf16", False)  # heads alone


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_record_has_the_dtype_and_weights_are_float32(
    family: str, folder: Path, decoder: Path, tmp_path: Path
) -> None:
    training = {**FAMILIES[family]["training_overrides"], "num_train_epochs": 1, "save_strategy": "no"}
    losses = []
    for dtype in ("bfloat16", "float32"):
        record = train(family, folder, decoder, tmp_path / dtype, dtype=dtype, training_overrides=training)
        assert record["dtype"] == dtype
        weights = load_file(tmp_path / dtype / "model.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
        losses.append(record["train_loss"])
        example = json.loads((tmp_path / dtype / "example.json").read_text())["dialogue"]
        model = load_engine(tmp_path / dtype)[0]
        rows = model.predict([{name: row[name] for name in ("speaker", "text")} for row in example])
        shown = [row["score"] for row in example]  # four digits
        assert [row["score"] for row in rows] == pytest.approx(shown, abs=5.1e-5)
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], abs=0.1)


@pytest.mark.slow
def test_frozen_vectors_are_computed_in_the_dtype(folder: Path, decoder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "preset": "emonet-fast",
        "training_overrides": {"num_train_epochs": 1},
        "cache_dir": tmp_path / "cache",
    }
    losses = []
    for dtype in ("bfloat16", "float32"):
        record = train("packed", folder, decoder, tmp_path / dtype, dtype=dtype, **options)
        assert record["dtype"] == dtype and "bf16" not in record["training"]
        losses.append(record["train_loss"])
    assert losses[0] != losses[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_resumed_run_goes_on_and_ends_as_a_whole_one(
    family: str, folder: Path, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    step = EmoNetTrainer.training_step
    monkeypatch.setattr(
        EmoNetTrainer, "training_step", lambda self, *args: steps.append(1) or step(self, *args)
    )
    train(family, folder, decoder, tmp_path / "whole")
    expected, taken = load_file(tmp_path / "whole" / "model.safetensors"), len(steps)
    shutil.copytree(tmp_path / "whole" / "checkpoints", tmp_path / "cut" / "checkpoints")
    checkpoints = (tmp_path / "cut" / "checkpoints").glob("checkpoint-*")
    shutil.rmtree(max(checkpoints, key=lambda path: int(path.name.split("-")[1])))
    train(family, folder, decoder, tmp_path / "cut", resume=True)
    assert len(steps) - taken == taken / 2
    weights = load_file(tmp_path / "cut" / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_disk_that_fills_up_at_the_end_is_named_with_the_way_on(
    family: str, folder: Path, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    nothing = {**FAMILIES[family]["training_overrides"], "num_train_epochs": 1, "save_strategy": "no"}
    monkeypatch.setattr(EmoNetCheckpoint, "save_pretrained", full)
    with pytest.raises(EmoNetError, match="again with --resume"):
        train(family, folder, decoder, tmp_path / "run", training_overrides=nothing)


@pytest.mark.parametrize("family", FAMILIES)
def test_validations_figures_are_those_of_an_evaluation(
    family: str, folder: Path, decoder: Path, tmp_path: Path
) -> None:
    train(family, folder, decoder, tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())
    figures = evaluate_run(tmp_path / "run", str(folder), split="validation", progress=False)
    assert {name: figures[name] for name in kept} == kept
    assert figures["trained_on"] == kept["dataset_version"] and ("tokens" in figures) == (
        family == "prompted"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_misspelt_option_is_refused(family: str, folder: Path, decoder: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'sed'"):
        train(family, folder, decoder, tmp_path / "run", sed=3)
    assert not (tmp_path / "run").exists()


def test_evaluation_takes_the_speakers_of_training(folder: Path, decoder: Path, tmp_path: Path) -> None:
    nothing = {"num_train_epochs": 1, "save_strategy": "no"}
    record = train(
        "packed", folder, decoder, tmp_path / "run", training_overrides=nothing, speakers="persons"
    )
    assert record["speakers"] == "persons" and record["dataset_version"].endswith("+persons")
    known = json.loads((tmp_path / "run" / "speakers.json").read_text())["speakers"]
    assert "The Waiter" in known
    versions = [
        evaluate_run(tmp_path / "run", str(folder), split="test", progress=False, **options)[
            "dataset_version"
        ]
        for options in ({}, {"speakers": "auto"})
    ]
    assert versions == [record["dataset_version"], record["dataset_version"].removesuffix("+persons")]
    (tmp_path / "run" / "run.json").unlink()
    metrics = evaluate_run(tmp_path / "run", str(folder), split="test", progress=False)
    assert metrics["dataset_version"] == record["dataset_version"], "the configuration has the version too"


@pytest.mark.parametrize("merge", [False, True])
def test_a_frozen_backbone_is_saved_when_asked_for(
    folder: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merge: bool
) -> None:
    name = "tiny-org/tiny-backbone"
    places = {name: str(backbone)}
    monkeypatch.setattr(package, "resolve_backbone", lambda name: places.get(name, name))
    monkeypatch.setattr(package, "backbone_name", lambda path: name if path == str(backbone) else path)
    monkeypatch.setattr(package, "hub_id", lambda known: known if known == name else None)
    for module in ("packed", "continued"):
        monkeypatch.setattr(f"emonet.runs.{module}.resolve_backbone", package.resolve_backbone)
    arguments = ["--dataset", str(folder), "--backbone", name, "--preset", "emonet-fast", "--epochs", "1"]
    flag = ["--merge-backbone"] if merge else []
    run = tmp_path / "run"
    assert main(["train", *arguments, *flag, "--output-dir", str(run)]) == 0
    assert main(["train", *arguments, *flag, "--output-dir", str(run), "--resume"]) == 0
    assert (run / "model.safetensors").is_file() is merge
    assert (run / ADAPTER_WEIGHTS).is_file() is not merge
    places.clear()
    if merge:  # it needs no backbone
        assert len(load_engine(run)[0].predict([{"speaker": "Ann", "text": "hello"}])) == 1
    else:
        with pytest.raises(EmoNetError, match="tiny-org/tiny-backbone"):
            load_engine(run)


def test_frozen_heads_train_in_one_program_unless_told(folder: Path, decoder: Path, tmp_path: Path) -> None:
    records, files = [], []
    for use_trainer in (False, True):
        output = tmp_path / str(use_trainer)
        options = {
            "preset": "emonet",
            "config_overrides": {"head_hidden_size": 8},
            "use_trainer": use_trainer,
        }
        training = {"num_train_epochs": 2, "learning_rate": 1e-2}
        record = train_run(
            str(folder),
            output,
            backbone=str(decoder),
            progress=False,
            cache_dir=tmp_path / "cache",
            training_overrides=training,
            **options,
        )
        assert json.loads((output / "run.json").read_text()) == record
        records.append(record)
        files.append({path.name for path in output.iterdir()})
    heads, trainer = records
    assert heads["trained_by"] == "heads" and "trained_by" not in trainer
    assert files[0] == files[1] and set(heads) - set(trainer) == {"trained_by"}
    assert [set(row) for row in heads["epochs"]] == [set(row) for row in trainer["epochs"]]
    assert heads["train_loss"] == pytest.approx(trainer["train_loss"], rel=0.1)
