"""Train the built-in models: `python -m emonet.runs.built_in WORK_FOLDER [NAME ...]`."""

import shutil
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from ..checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from ..checkpoint.integrity import write_digests
from ..checkpoint.run_record import write_json
from ..engines.load import load_engine
from ..evaluation.predictions import counts_of, read_predictions
from ..evaluation.significance import bootstrap_interval
from ..files.guard import read_json
from ..hub.card import write_card
from ..hub.example import write_example
from ..pretrained.models import MODELS, BuiltIn
from .evaluate import evaluate_run
from .train import train_run

SEEDS = (1, 2, 3, 4, 5)
DATASET = "emorynlp"
# The tokenizer comes with the backbone, and the code with the package.
_FILES = ("config.json", "speakers.json", "run.json", "metrics.json", ADAPTER_FILE, ADAPTER_WEIGHTS)


def build(model: BuiltIn, work: Path) -> dict[str, Any]:
    """Train a built-in model and write its folder: the seed that validates best.

    The test set is scored once, with the heads as they are saved. Seeds that `work` holds
    already are not trained again.

    Args:
        model: The model.
        work: Folder for the runs of all seeds.

    Returns:
        The test metrics, with `weighted_f1_interval` (95 %, bootstrap over dialogues).
    """
    runs = [work / f"{model.name}-{seed}" for seed in SEEDS]
    for seed, run in zip(SEEDS, runs, strict=True):
        if not (run / "metrics.json").is_file():
            train_run(DATASET, run, preset=model.preset, backbone=model.backbone, seed=seed, progress=False)
    best = max(runs, key=lambda run: float(read_json(run / "metrics.json")["weighted_f1"]))
    heads, _ = load_engine(best)
    heads.save_pretrained(work / model.name, merge=False)
    shutil.rmtree(model.folder, ignore_errors=True)
    model.folder.mkdir(parents=True)
    for name in _FILES:
        source = work / model.name / name
        shutil.copy(source if source.is_file() else best / name, model.folder / name)
    state = load_file(model.folder / ADAPTER_WEIGHTS)
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(half, model.folder / ADAPTER_WEIGHTS)
    (model.folder / ADAPTER_WEIGHTS).chmod(0o644)  # safetensors writes for the owner only
    write_digests(model.folder)
    predictions = work / f"{model.name}-test.jsonl"
    metrics = evaluate_run(model.folder, DATASET, split="test", predictions=predictions, progress=False)
    interval = bootstrap_interval(counts_of(read_predictions(predictions), heads.config.label_names))
    metrics["weighted_f1_interval"] = [interval.low, interval.high]
    metrics["validation_weighted_f1_by_seed"] = {
        str(seed): read_json(run / "metrics.json")["weighted_f1"]
        for seed, run in zip(SEEDS, runs, strict=True)
    }
    write_json(model.folder / "test_metrics.json", metrics)
    write_example(model.folder, load_engine(model.folder)[0])
    write_card(model.folder)
    return metrics


def main(arguments: list[str]) -> None:
    """Build the named models, all by default."""
    work, names = Path(arguments[0]), arguments[1:] or list(MODELS)
    for name in names:
        metrics = build(MODELS[name], work)
        print(f"{name}: test weighted F1 {100 * metrics['weighted_f1']:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
