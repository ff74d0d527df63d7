"""Make the content of `run.json`: settings, and the figures of every epoch."""

import csv
import dataclasses
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from ..constants import PACKAGE_VERSION

if TYPE_CHECKING:  # the Trainer's import takes a while, and predicting does without
    from transformers import PreTrainedModel, TrainerState, TrainingArguments

RUN_FILE = "run.json"
# Training arguments about output or the machine, without influence on what is learnt.
_NOT_LEARNING = (
    "deepspeed",
    "disable_tqdm",
    "output_dir",
    "project",
    "push_to_hub",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
    "trackio_space_id",
    "use_cpu",
)
_BACKBONE_KEYS = ("text_config", "id2label", "label2id", "class_weights")


def versions() -> dict[str, str]:
    """List the versions of everything that a result depends on."""
    return {
        "emonet": PACKAGE_VERSION,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "datasets": version("datasets"),
    }


def run_record(
    model: "PreTrainedModel", args: "TrainingArguments", state: "TrainerState", **facts: Any
) -> dict[str, Any]:
    """Make the content of `run.json`.

    Args:
        model: The trainer's model.
        args: The trainer's arguments.
        state: The trainer's state.
        facts: Further entries, or replacements.
    """
    config: Any = model.config
    default = type(config)().to_dict()
    fields = {
        key: value
        for key, value in config.to_diff_dict().items()
        if key in default and key not in _BACKBONE_KEYS
    }
    return {
        "preset": None,
        "backbone": config.backbone,
        "seed": args.seed,
        "dataset_version": config.dataset_version,
        "config": {key: value for key, value in fields.items() if value != default[key]},
        "training": changed_arguments(args),
        "dtype": "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32",
        "best_epoch": kept_epoch(args, state.log_history),
        "epochs": epoch_rows(state.log_history),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": versions(),
        **measured_emissions(Path(args.output_dir or ".")),
        **facts,
    }


def measured_emissions(folder: Path) -> dict[str, Any]:
    """Read what codecarbon measured of the last training, as the Hub's metadata names it.

    Args:
        folder: The Trainer's output folder, where `report_to="codecarbon"` writes
            `emissions.csv`; nothing is returned without it.
    """
    try:
        with (folder / "emissions.csv").open(encoding="utf-8", newline="") as file:
            *_, last = csv.DictReader(file)
        grams = 1000 * float(last["emissions"])
    except (OSError, KeyError, TypeError, ValueError):
        return {}
    facts = {
        "emissions": float(f"{grams:.4g}"),
        "source": f"codecarbon {last.get('codecarbon_version') or ''}".strip(),
        "training_type": "fine-tuning",
        # Without a location, codecarbon assumes Canada and leaves the longitude empty.
        "geographical_location": last.get("country_name") if last.get("longitude") else None,
        "hardware_used": last.get("gpu_model") or last.get("cpu_model"),
    }
    return {"co2_eq_emissions": {name: value for name, value in facts.items() if value}}


def changed_arguments(args: Any) -> dict[str, Any]:
    """Select the training arguments that differ from their defaults and are public."""
    changed = {}
    for field in dataclasses.fields(args):
        default = (
            field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        )
        value = getattr(args, field.name)
        value = getattr(value, "value", value)
        if (
            field.init
            and value is not None
            and value != getattr(default, "value", default)
            and is_public(field.name, value)
        ):
            changed[field.name] = value
    return changed


def is_public(name: str, value: Any) -> bool:
    """Whether a setting is about learning, and neither a token nor a local path."""
    if name in _NOT_LEARNING or "token" in name or name.startswith(("hub_", "logging_", "save_")):
        return False
    values = value.values() if isinstance(value, dict) else [value]
    return not any(
        re.search(r"[/\\]", item) if isinstance(item, str) else not isinstance(item, int | float | None)
        for item in values
    )


def epoch_rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one row per evaluation from a Trainer's log: training loss and all figures.

    Evaluations within an epoch have their own rows; without any evaluation, every logged
    loss has one.
    """
    rows: dict[float, dict[str, Any]] = {}
    loss: dict[str, Any] = {}
    for entry in history:
        figures = {key[5:]: round(value, 4) for key, value in entry.items() if key.startswith("eval_")}
        if "epoch" not in entry or not ("loss" in entry or figures):
            continue
        if "loss" in entry:
            loss = {"train_loss": round(entry["loss"], 4)}
        epoch = round(entry["epoch"], 2)
        epoch = int(epoch) if epoch == int(epoch) else epoch
        rows[epoch] = {"epoch": epoch, **loss, **figures}
    return [row for row in rows.values() if "loss" in row] or list(rows.values())


def best_epoch(
    history: list[dict[str, Any]], metric: str = "weighted_f1", greater: bool = True
) -> float | None:
    """Find the epoch of the best validation figure, the first of equals.

    Args:
        history: A Trainer's log.
        metric: Without `eval_`.
        greater: Whether a higher value is better.
    """
    scored = [row for row in epoch_rows(history) if metric in row]
    if not scored:
        return None
    choose = max if greater else min
    best: float = choose(scored, key=lambda row: row[metric])["epoch"]
    return best


def kept_epoch(args: Any, history: list[dict[str, Any]]) -> float | None:
    """Find the epoch whose weights the training ends with: the best one or the last."""
    metric = (args.metric_for_best_model or "loss").removeprefix("eval_")
    if getattr(args, "saves_nothing", False) or args.load_best_model_at_end:
        return best_epoch(history, metric, bool(args.greater_is_better))
    rows = epoch_rows(history)
    return rows[-1]["epoch"] if rows else None


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")
