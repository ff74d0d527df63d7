"""Emotional trajectories: what a turn's speaker felt lately, told without telling what
must not be known.

A training turn's emotion is its label, or, scheduled, what the model itself predicted for
it; a validation or test turn's emotion is the model's prediction and nothing else, for
its label is never taken up here.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from ...prompted.prompts import LabelledTurn


class EmotionRecord:
    """What was felt, by utterance: training labels, and predictions of every split as the
    model makes them.

    Args:
        train: The training dialogues (rows of the `dialogues` view), whose labels alone
            are read.
        texts: Every utterance's text by `utterance_index`. labels: Label names.

    Attributes:
        own_share: How often a training turn is told to another with the model's own
            prediction, where there is one: what the model meets when it is used. seed: Of
            the choice which.
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

    def predicted(self, utterance: int, label: int) -> None:
        """Take up what the model says of an utterance."""
        self._predicted[utterance] = label

    def lines(self, turn: Mapping[str, Any], scheduled: bool = False) -> list[LabelledTurn]:
        """The trajectory in front of a turn, oldest first.

        Args:
            scheduled: Training turns are told by `own_share`; else by their labels, as
                where the model is evaluated.

        Which earlier utterances it may see is the corpus's history rule
        (`speaker_history_index`); those whose emotion may not be known are left out.
        """
        felt = [(index, self._emotion(index, scheduled)) for index in turn["speaker_history_index"]]
        return [
            LabelledTurn(self._texts[index], self._labels[emotion])
            for index, emotion in felt
            if emotion is not None
        ]

    def _emotion(self, utterance: int, scheduled: bool) -> int | None:
        own = self._predicted.get(utterance)
        annotated = self._annotated.get(utterance)
        if annotated is None:
            return own
        drawn = (
            scheduled
            and own is not None
            and random.Random(f"{self.seed} {utterance}").random() < self.own_share
        )
        return own if drawn else annotated
