"""Train, evaluate and use EmoNet on the embedded corpus and backbone, offline."""

import json
import time
from pathlib import Path

from ..evaluation.report import metrics_table
from .evaluate import add_to_run, evaluate_run
from .train import train_run

DIALOGUE = "s01e09_c03"  # of the test episode


def run_demo(output_dir: Path, backbone: str = "minilm", seed: int = 1) -> None:
    """Train `emonet-fast` on the sample corpus and print test metrics and a dialogue."""
    started = time.perf_counter()
    print(f"1/3  training emonet-fast on the sample corpus ({backbone}, frozen)", flush=True)
    record = train_run(
        "sample",
        output_dir,
        preset="emonet-fast",
        backbone=backbone,
        seed=seed,
        # The whole of EmoNet, though its memory learns little from 430 turns.
        config_overrides={"speaker_memory": "corpus"},
        training_overrides={
            "per_device_train_batch_size": 4,
            "num_train_epochs": 40,
            "class_weighting": "sqrt_inverse",
        },
        progress=False,
    )
    print(f"     best of {len(record['epochs'])} epochs on validation: {record['best_epoch']}\n")
    print("2/3  the test episode", flush=True)
    predictions = output_dir / "test_predictions.jsonl"
    metrics = evaluate_run(output_dir, "sample", split="test", predictions=predictions, progress=False)
    add_to_run(output_dir, metrics)
    print(metrics_table(metrics))
    print(f"\n3/3  one dialogue ({DIALOGUE})")
    print(dialogue_table(predictions, DIALOGUE))
    seconds = time.perf_counter() - started
    print(f"\nThe checkpoint and the run are in {output_dir} ({seconds:.0f} s). Try it on your own lines:")
    print(f"     printf 'Ann: We won!\\nBob: I knew it.\\n' | emonet predict --model {output_dir}")
    print(f"     emonet serve --model {output_dir}    # a demo page; needs emonet[demo]")


def dialogue_table(predictions: Path, dialogue_id: str) -> str:
    """Format a predicted dialogue: speaker, predicted emotion, gold emotion, text."""
    lines = []
    with predictions.open(encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            if row["dialogue_id"] == dialogue_id:
                mark = "✓" if row["predicted"] == row["emotion"] else f"✗ {row['emotion']}"
                lines.append(f"     {row['speaker'][:16]:16s} {row['predicted']:9s} {mark:10s} {row['text']}")
    return "\n".join(lines)
