"""The dialogues that every case works on, and the models it builds from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import load_conversations
from ..data.collator import EncodedCorpus
from ..runs.options import TrainOptions
from ..runs.packed import build_model


def write_workload(dataset: str, data_dir: str | None, dialogues: int, folder: Path) -> dict[str, Any]:
    """A small corpus of `dialogues` training dialogues, spread evenly over the lengths,
    as files of its own.
    """
    corpus = load_conversations(dataset, data_dir)
    rows = sorted(corpus["train"], key=lambda row: len(row["turns"]))
    places = sorted({round(place * (len(rows) - 1) / max(1, dialogues - 1)) for place in range(dialogues)})
    lines = []
    for place in places:
        row = rows[place]
        turns = [
            {"speaker": turn["speaker"], "text": turn["text"], "emotion": corpus.labels[turn["emotion"]]}
            for turn in row["turns"]
        ]
        lines.append(json.dumps({"dialogue_id": row["dialogue_id"], "turns": turns}))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    # Training needs the split to be there; no case reads it.
    unused = {"dialogue_id": "unused", "speaker": "A", "text": "Well.", "emotion": corpus.labels[0]}
    (folder / "validation.jsonl").write_text(json.dumps(unused) + "\n", "utf-8")
    sizes = [len(rows[place]["turns"]) for place in places]
    return {
        "dataset_version": corpus.dataset_version,
        "dialogues": len(sizes),
        "turns": sum(sizes),
        "longest": max(sizes),
    }


def prepared(folder: Path, backbone: str, preset: str, **config: Any) -> tuple[Any, EncodedCorpus]:
    """A model of that preset on the workload, and the encoded train split with what is
    frozen cached.
    """
    model, corpus = encoded(folder, backbone, preset, **config)
    corpus.cache_features(model, folder / "cache", progress=False)
    corpus.fit_standardizers(model)
    return model, corpus


def encoded(folder: Path, backbone: str, preset: str, **config: Any) -> tuple[Any, EncodedCorpus]:
    """A model of that preset on the workload, and the encoded train split."""
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
    """The workload's dialogues as they are written."""
    return [json.loads(line)["turns"] for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]


def tokens_of(batches: Sequence[dict[str, Any]]) -> int:
    """Tokens that an encoder reads in these batches, padding left out."""
    masks = ("attention_mask", "memory_attention_mask")
    return sum(int(batch[name].sum()) for batch in batches for name in masks if name in batch)
