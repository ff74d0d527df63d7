"""`run.json`: what was run, and every epoch's figures."""

import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from .configuration_emonet import PACKAGE_VERSION

RUN_FILE = "run.json"
# Training arguments that say where and how something is written, and nothing about what is learnt.
_NOT_LEARNING = ("output_dir", "run_name", "report_to", "disable_tqdm", "push_to_hub", "use_cpu", "project")
_BACKBONE_KEYS = ("text_config", "id2label", "label2id", "class_weights")


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "emonet": PACKAGE_VERSION,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "datasets": datasets.__version__,
    }


def run_record(model: Any, args: Any, state: Any, **facts: Any) -> dict[str, Any]:
    """The content of `run.json` from a trainer's model, arguments and state; `facts` replace or join what is found there."""
    config = model.config
    default = type(config)().to_dict()
    fields = {key: value for key, value in config.to_diff_dict().items() if key in default and key not in _BACKBONE_KEYS}
    return {
        "preset": None,
        "backbone": config.backbone,
        "seed": args.seed,
        "dataset_version": config.dataset_version,
        "config": {key: value for key, value in fields.items() if value != default[key]},
        "training": changed_arguments(args),
        "best_epoch": best_epoch(state.log_history),
        "epochs": epoch_rows(state.log_history),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": versions(),
        **facts,
    }


def changed_arguments(args: Any) -> dict[str, Any]:
    """Training arguments that differ from their defaults; never a token, a path or a Hub setting."""
    changed = {}
    for field in dataclasses.fields(args):
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        value = getattr(args, field.name)
        value = getattr(value, "value", value)
        hidden = field.name in _NOT_LEARNING or "token" in field.name or field.name.startswith(("hub_", "logging_", "save_"))
        if (
            not hidden
            and field.init
            and value != getattr(default, "value", default)
            and isinstance(value, str | int | float | dict)
        ):
            changed[field.name] = value
    return changed


def epoch_rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row an epoch from a Trainer's log: training loss and every validation figure."""
    rows: dict[int, dict[str, Any]] = {}
    for entry in history:
        if "epoch" not in entry:
            continue
        row = rows.setdefault(round(entry["epoch"]), {"epoch": round(entry["epoch"])})
        if "loss" in entry:
            row["train_loss"] = round(entry["loss"], 4)
        row.update({key[5:]: round(value, 4) for key, value in entry.items() if key.startswith("eval_")})
    return [row for row in rows.values() if len(row) > 1]


def best_epoch(history: list[dict[str, Any]]) -> int | None:
    """The epoch of the highest validation weighted F1."""
    scored = [row for row in epoch_rows(history) if "weighted_f1" in row]
    return max(scored, key=lambda row: row["weighted_f1"])["epoch"] if scored else None


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")
