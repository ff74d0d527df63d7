"""Trainings of a study's cells that take no time."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from emonet.data import load_conversations
from emonet.evaluation.metrics import emotion_metrics

_corpus = lru_cache(lambda dataset, fold: load_conversations(dataset, fold=fold))


class FakeModels:
    """Trainings that take no time: a model guesses, and better with each seed.

    Attributes:
        trained: The runs so far, as (fold, seed).
        dies_at: The number of the training that is killed.
    """

    def __init__(self) -> None:
        self.trained: list[tuple[Any, int]] = []
        self.dies_at: int | None = None

    def train(
        self, dataset: str, run: Path, *, fold: Any, seed: int, preset: str, **_: Any
    ) -> dict[str, Any]:
        if len(self.trained) == self.dies_at:
            raise KeyboardInterrupt
        self.trained.append((fold, seed))
        run.mkdir()
        figures = self._score(dataset, fold, "validation", run / "predictions.jsonl", seed)
        (run / "metrics.json").write_text(json.dumps(figures))
        (run / "run.json").write_text(json.dumps({"seed": seed}))
        epochs = [{"epoch": 1, "loss": 1.0, "weighted_f1": figures["weighted_f1"]}]
        versions = {"torch": "2", "transformers": "5"}
        return {"seed": seed, "epochs": epochs, "seconds": {"train": 1.0}, "versions": versions}

    def evaluate(self, run: Path, dataset: str, *, fold: Any, predictions: Path, **_: Any) -> dict[str, Any]:
        seed = json.loads((run / "run.json").read_text())["seed"]
        return self._score(dataset, fold, "test", predictions, seed)

    def _score(self, dataset: str, fold: Any, split: str, file: Path, seed: int) -> dict[str, Any]:
        corpus = _corpus(dataset, fold)
        rng = np.random.default_rng([seed, fold.index if fold else 9])
        rows, ids = [], []
        for dialogue in corpus[split]:
            for index, turn in enumerate(dialogue["turns"]):
                scores = rng.dirichlet(np.ones(len(corpus.labels)))
                scores[turn["emotion"]] += 0.1 * seed
                shares = np.round(scores / scores.sum(), 4).tolist()
                ids.append((turn["emotion"], int(np.argmax(scores))))
                rows.append(
                    {
                        "dialogue_id": dialogue["dialogue_id"],
                        "turn": index,
                        "speaker": turn["speaker"],
                        "text": turn["text"],
                        "emotion": corpus.labels[turn["emotion"]],
                        "predicted": corpus.labels[ids[-1][1]],
                        "scores": dict(zip(corpus.labels, shares, strict=True)),
                    }
                )
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        gold, guess = zip(*ids, strict=True)
        facts = {"dataset_version": corpus.dataset_version, "split": split, "causal": True, "ece": 0.1}
        return {**emotion_metrics(gold, guess, corpus.labels), **facts}
