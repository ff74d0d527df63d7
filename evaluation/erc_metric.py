"""Offer the metrics as an `evaluate.Metric`, by import or by `evaluate.load`."""

from typing import Any

import datasets
import evaluate

from emonet.evaluation.metrics import emotion_metrics


class ERCMetric(evaluate.Metric):  # type: ignore[misc]
    """`emotion_metrics` behind the `evaluate` interface, without network access.

    Pass the names of the classes with `compute(label_names=[...])`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Weighted, macro and micro F1, accuracy and per-class figures of emotions.",
            citation="",
            inputs_description="predictions, references: label ids; label_names: names in their order.",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any, label_names: list[str]) -> dict[str, Any]:
        return emotion_metrics(references, predictions, label_names)
