"""Turn a split's logits into metrics, prediction rows and a temperature."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..constants import NO_LABEL
from ..inference.predict import TurnProcessor
from .analysis import score_matrix
from .calibration import calibration, fit_temperature
from .metrics import emotion_metrics
from .predictions import annotated, label_ids


def score_dialogues(
    processor: TurnProcessor,
    dialogues: Sequence[Mapping[str, Any]],
    gold: np.ndarray,
    logits: Sequence[np.ndarray],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Compute the metrics of a split and a prediction row for each of its turns.

    Args:
        processor: Converts logits to labels and scores (`labels_of`).
        dialogues: Rows of the `dialogues` view.
        gold: Label ids (N,) of all turns, -100 where a turn has none.
        logits: Logits (T, C) of each dialogue.
    """
    labels = processor.config.label_names
    rows: list[dict[str, Any]] = []
    for dialogue, scores in zip(dialogues, logits, strict=True):
        for index, (turn, result) in enumerate(
            zip(dialogue["turns"], processor.labels_of(scores), strict=True)
        ):
            label = gold[len(rows)]
            rows.append(
                {
                    "dialogue_id": dialogue["dialogue_id"],
                    "turn": index,
                    "speaker": turn["speaker"],
                    "text": turn["text"],
                    "emotion": None if label == NO_LABEL else labels[label],
                    "predicted": result["label"],
                    "scores": {name: round(score, 4) for name, score in result["scores"].items()},
                }
            )
    metrics = emotion_metrics(gold, np.concatenate([scores.argmax(-1) for scores in logits]), labels)
    scored = annotated(rows)
    metrics["ece"] = calibration(score_matrix(scored, labels), label_ids(scored, labels)[0]).ece
    return metrics, rows


def temperature_of(logits: Sequence[np.ndarray], gold: np.ndarray) -> float:
    """Fit the temperature to the logits (T, C) of each dialogue; 1 without labels."""
    scores = torch.from_numpy(np.concatenate(logits)).softmax(-1).numpy()
    labelled = gold != NO_LABEL
    return round(fit_temperature(scores[labelled], gold[labelled]), 4) if labelled.any() else 1.0
