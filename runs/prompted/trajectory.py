"""A speaker's recent emotions for the prompt, without validation or test labels.

The emotion of a training turn is its label or, with scheduled sampling, the model's own
prediction. The emotion of a validation or test turn is always the model's prediction.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from ...prompted.prompts import LabelledTurn


class EmotionRecord:
    """Emotions by utterance: training labels, and the model's predictions of all splits.

    Args:
        train: The training dialogues (rows of the `dialogues` view), the only ones whose
            labels are read.
        texts: The text of every utterance, by `utterance_index`.
        labels: Label names.

    Attributes:
        own_share: Probability that a training turn's label is replaced by the model's own
            prediction, if there is one, as at inference.
        seed: Seed of that choice.
    """

    def __init__(self, train: Sequence[Mapping[str, Any]], texts: Sequence[str], labels: Sequence[str]):
        self._texts, self._labels = texts, labels
        self._annotated: dict[int, int | None] = {}
        for dialogue in train:
            for turn in dialogue["turns"]:
                emotion = turn["emotion"]
                self._annotated[turn["utterance_index"]] = None if emotion is None or emotion < 0 else emotion
        self._predicted: dict[int, int] = {}
        self.own_share = 0.0
        self.seed = 0

    def add_prediction(self, utterance: int, label: int) -> None:
        """Record the model's prediction for an utterance."""
        self._predicted[utterance] = label

    def trajectory(
        self, turn: Mapping[str, Any], scheduled: bool = False, lines: Mapping[int, int] | None = None
    ) -> list[LabelledTurn]:
        """The trajectory before a turn, oldest first.

        The corpus decides which earlier utterances a turn may see
        (`speaker_history_index`). Those without a known emotion are left out.

        Args:
            turn: A turn of the `dialogues` view.
            scheduled: Replace training labels with probability `own_share`.
            lines: `utterance_index` → index, of the turns of the same dialogue.
        """
        history = [(index, self._emotion(index, scheduled)) for index in turn["speaker_history_index"]]
        return [
            LabelledTurn(self._texts[index], self._labels[emotion], (lines or {}).get(index))
            for index, emotion in history
            if emotion is not None
        ]

    def _emotion(self, utterance: int, scheduled: bool) -> int | None:
        prediction, label = self._predicted.get(utterance), self._annotated.get(utterance)
        if label is None or (scheduled and prediction is not None and self._draw(utterance)):
            return prediction
        return label

    def _draw(self, utterance: int) -> bool:
        """Whether to replace the label; the same in every call of an epoch."""
        return random.Random(f"{self.seed} {utterance}").random() < self.own_share
