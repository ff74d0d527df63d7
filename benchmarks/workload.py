"""Prepare the dialogues and models that the cases share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import load_conversations
from ..data.collator import EncodedCorpus
from ..runs.options import TrainOptions
from ..runs.packed import build_model


def write_workload(dataset: str, data_dir: str | None, dialogues: int, folder: Path) -> dict[str, Any]:
    """Write a small corpus of training dialogues, evenly spread over their lengths.

    Args:
        dataset: Name of a corpus, or a file or folder.
        data_dir: Folder with the corpus's files.
        dialogues: Number of dialogues.
        folder: Folder to write the files to.

    Returns:
        `dataset_version`, `dialogues`, `turns`, and the `longest` dialogue's turns.
    """
    corpus = load_conversations(dataset, data_dir)
    rows = sorted(corpus["train"], key=lambda row: len(row["turns"]))
    step = (len(rows) - 1) / max(1, dialogues - 1)
    indices = sorted({round(step * index) for index in range(dialogues)})
    lines = []
    for row in [rows[index] for index in indices]:
        turns = [
            {"speaker": turn["speaker"], "text": turn["text"], "emotion": corpus.labels[turn["emotion"]]}
            for turn in row["turns"]
        ]
        lines.append(json.dumps({"dialogue_id": row["dialogue_id"], "turns": turns}))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    # Training requires a validation split; no case reads it.
    unused = {"dialogue_id": "unused", "speaker": "A", "text": "Well.", "emotion": corpus.labels[0]}
    (folder / "validation.jsonl").write_text(json.dumps(unused) + "\n", "utf-8")
    sizes = [len(rows[index]["turns"]) for index in indices]
    return {
        "dataset_version": corpus.dataset_version,
        "dialogues": len(sizes),
        "turns": sum(sizes),
        "longest": max(sizes),
    }


def prepared(folder: Path, backbone: str, preset: str, **config: Any) -> tuple[Any, EncodedCorpus]:
    """Build a preset's model and the encoded train split, with frozen features cached."""
    model, corpus = encoded(folder, backbone, preset, **config)
    corpus.cache_features(model, folder / "cache", progress=False)
    corpus.fit_standardizers(model)
    return model, corpus


def encoded(folder: Path, backbone: str, preset: str, **config: Any) -> tuple[Any, EncodedCorpus]:
    """Build a preset's model and the encoded train split of the workload."""
    options = TrainOptions(
        dataset=str(folder),
        output_dir=folder,
        preset=preset,
        backbone=backbone,
        config_overrides=config,
        knowledge=("none", "none"),
    )
    model, processor, conversations, _ = build_model(options)
    return model, EncodedCorpus(conversations.restricted_to(["train"]), processor)


def dialogues_of(folder: Path) -> list[list[dict[str, Any]]]:
    """Read the dialogues of the workload."""
    return [json.loads(line)["turns"] for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]


def tokens_of(batches: Sequence[dict[str, Any]]) -> int:
    """Count the tokens that encoders read in these batches, without padding."""
    masks = ("attention_mask", "memory_attention_mask")
    return sum(int(batch[name].sum()) for batch in batches for name in masks if name in batch)
