"""The files of a run folder, and how tests read the card that is made from them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from tiny import LABELS

from emonet.evaluation.metrics import emotion_metrics

VERSION = "emorynlp-full-1.0.0"
CONFIG = {
    "backbone": "minilm",
    "dataset_version": VERSION,
    "id2label": {str(number): label for number, label in enumerate(LABELS)},
    "speaker_identity": "global",
    "speaker_memory": "corpus",
}
RUN = {
    "preset": "emonet",
    "backbone": "minilm",
    "seed": 7,
    "dataset_version": VERSION,
    "config": {"pooling": "mean", "memory_hidden_size": 128},
    "training": {
        "learning_rate": 5e-05,
        "learning_rate_mapping": {r"^(a|b)\b": 0.0005},
        "class_weighting": "inverse",
    },
    "best_epoch": 2,
    "epochs": [
        {"epoch": 1, "train_loss": 1.9, "loss": 1.8, "weighted_f1": 0.3, "macro_f1": 0.21, "accuracy": 0.25},
        {
            "epoch": 2,
            "train_loss": 1.7,
            "loss": 1.7,
            "weighted_f1": 0.3512,
            "macro_f1": 0.24,
            "accuracy": 0.31,
        },
        {"epoch": 3, "train_loss": 1.5, "loss": 1.9, "weighted_f1": 0.34, "macro_f1": 0.25, "accuracy": 0.32},
    ],
    "parameters": 45_456_007,
    "trainable_parameters": 22_890_631,
    "seconds": {"train": 1558.0},
    "versions": {"emonet": "0.1.0", "torch": "2.13.0"},
}
VALIDATION = {
    "split": "validation",
    **emotion_metrics([0, 1, 2, 3, 4, 5, 6, 2], [0, 1, 2, 2, 4, 5, 6, 1], LABELS),
}
TEST = {**emotion_metrics([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 2, 3, 5, 5], LABELS), "split": "test"}
FILES = {
    "config.json": CONFIG,
    "run.json": RUN,
    "metrics.json": {**VALIDATION, "dataset_version": VERSION},
    "test_metrics.json": {**TEST, "dataset_version": VERSION},
    "speakers.json": {"version": 1, "speakers": ["Monica Geller", "Ross Geller"]},
}
OVERALL = [key for key, value in TEST.items() if isinstance(value, float)]
MARKER = re.compile(r"<!-- emonet:(begin|end) (\w+) -->")


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names or FILES:
        (folder / name).write_text(json.dumps(FILES[name]), "utf-8")
    return folder


def change(folder: Path, name: str, **values: Any) -> None:
    (folder / name).write_text(json.dumps({**FILES[name], **values}), "utf-8")


def metadata(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def tables(card: str) -> list[list[list[str]]]:
    """Every table as rows of cells, as GitHub's Markdown reads them."""
    blocks = re.findall(r"(?:^\|.*\n?)+", card, re.MULTILINE)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        for block in blocks
    ]


def table(card: str, *first_column: str) -> dict[str, list[str]]:
    """The table that has all these rows, by their first cells."""
    for rows in tables(card):
        found = {row[0].strip("*`"): row[1:] for row in rows}
        if found.keys() >= set(first_column):
            return found
    raise AssertionError(f"no table with {first_column}")


def percent(value: float) -> str:
    return f"{100 * value:.2f}"
