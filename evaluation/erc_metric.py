"""The metrics as an `evaluate.Metric`: import it, or `evaluate.load` this file; no
network either way.
"""

from typing import Any

import datasets
import evaluate

from emonet.evaluation.metrics import emotion_metrics


class ERCMetric(evaluate.Metric):
    """`emotion_metrics` behind the `evaluate` interface; `compute(label_names=[...])`
    names the classes.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Emotion recognition in conversation: weighted, macro and micro F1, accuracy, per class.",
            citation="",
            inputs_description="predictions and references: label ids; label_names: names in order of the ids.",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any, label_names: list[str]) -> dict[str, Any]:
        return emotion_metrics(references, predictions, label_names)
