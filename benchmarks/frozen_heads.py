"""Compare the program of frozen heads with the Trainer's steps, seed by seed.

`python -m emonet.benchmarks.frozen_heads FILE --backbone smollm2` trains every seed both
ways in turn, on the same cached vectors, and then some of them once more in a row. FILE
keeps what is done, so that the same command goes on where it ended.
"""

import argparse
import contextlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.run_record import versions, write_json
from ..evaluation.metrics import emotion_metrics
from ..runs.options import EvaluateOptions, TrainOptions
from ..runs.packed import PackedFamily, PackedRun
from ..runs.seeds import train_seeds

_FIGURES = ("validation", "test", "train_loss", "processor_seconds")
WAYS: dict[str, dict[str, Any]] = {
    "trainer": {"use_trainer": True},
    "heads": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
}


class Comparison:
    """A frozen preset on a corpus, ready to be trained from any seed.

    Args:
        preset: The preset.
        backbone: Its backbone.
        dataset: Name of a corpus.
        training: What differs from the preset's training.
    """

    def __init__(self, preset: str, backbone: str, dataset: str, training: Mapping[str, Any]):
        options = TrainOptions(
            dataset=dataset,
            output_dir=Path("emonet-run"),
            preset=preset,
            backbone=backbone,
            training_overrides=dict(training),
            progress=False,
        )
        family = PackedFamily()
        self.run: PackedRun = family.prepare(options)
        self.evaluate = EvaluateOptions(dataset=dataset, progress=False)
        self.test = family.load(self.evaluate, self.run.model.config)
        self.training = {**self.run.settings["training"], "save_strategy": "no"}

    def train(self, seeds: Sequence[int], **way: Any) -> list[dict[str, Any]]:
        """Train from each seed; return figures, and seconds of clock and processor."""
        corpus, model = self.run.corpus, self.run.model
        splits = corpus["train"], corpus["validation"]
        trainers = train_seeds(model, *splits, self.training, seeds, **way)
        rows = []
        for seed in seeds:
            clock, processor = time.perf_counter(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                trainer = next(trainers)
            seconds = time.perf_counter() - clock, time.process_time() - processor
            scored = PackedFamily().score(model, corpus.processor, self.test, self.evaluate)
            predicted = np.concatenate(scored.logits).argmax(-1)
            figures = emotion_metrics(scored.labels, predicted, model.config.label_names)
            epochs = [row["eval_weighted_f1"] for row in trainer.state.log_history if "eval_loss" in row]
            rows.append(
                {
                    "seed": seed,
                    "seconds": round(seconds[0], 2),
                    "processor_seconds": round(seconds[1], 2),
                    "epochs": len(epochs),
                    "validation": round(max(epochs), 5),
                    "test": round(figures["weighted_f1"], 5),
                    "train_loss": round(trainer.state.log_history[-1]["train_loss"], 5),
                }
            )
        return rows


def paired(rows: Mapping[str, Sequence[Mapping[str, Any]]], way: str, figure: str) -> dict[str, float]:
    """The mean difference `way` minus `trainer` over seeds, with its 95 % interval.

    The interval is a percentile bootstrap over seeds.
    """
    first, second = ({row["seed"]: row[figure] for row in rows[name]} for name in ("trainer", way))
    differences = np.array([second[seed] - first[seed] for seed in first if seed in second])
    random = np.random.default_rng(0)
    drawn = random.choice(differences, (10_000, len(differences))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    named = {
        "difference": differences.mean(),
        "low": low,
        "high": high,
        "of_seeds": np.std(list(first.values())),
    }
    return {"seeds": len(differences), **{name: round(float(value), 5) for name, value in named.items()}}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m emonet.benchmarks.frozen_heads", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dataset", default="emorynlp")
    parser.add_argument("--preset", default="emonet")
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=float, help="default: the preset's")
    given = parser.parse_args(arguments)
    settings = {name: getattr(given, name) for name in ("dataset", "preset", "backbone", "epochs")}
    content: dict[str, Any] = {
        "settings": settings,
        "versions": versions(),
        "rows": {way: [] for way in WAYS},
    }
    if given.file.is_file():
        content = json.loads(given.file.read_text("utf-8"))
        if content["settings"] != settings:
            raise SystemExit(f"{given.file} has other settings: {content['settings']}")
    training = {} if given.epochs is None else {"num_train_epochs": given.epochs}
    comparison = Comparison(given.preset, given.backbone, given.dataset, training)
    rows = content["rows"]
    for seed in range(1, given.seeds + 1):
        for way in sorted(WAYS, reverse=seed % 2 == 0):
            if all(row["seed"] != seed for row in rows[way]):
                rows[way] += comparison.train([seed], **WAYS[way])
                write_json(given.file, content)
    for way in ("heads", "bfloat16"):
        content[way] = {figure: paired(rows, way, figure) for figure in _FIGURES}
    write_json(given.file, content)


if __name__ == "__main__":
    main()
