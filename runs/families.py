"""The interface of a family of models: what differs between runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..data import Conversations
from ..errors import EmoNetError
from ..train_trainer import EmoNetTrainer
from .options import EvaluateOptions, TrainOptions


@dataclass(frozen=True)
class ScoredSplit:
    """What a model says of a split.

    Attributes:
        dialogues: Rows of the `dialogues` view.
        labels: (N,) the label of every turn in order, -100 where unlabelled.
        logits: (T, C) of each dialogue.
        facts: What the evaluation's figures say besides.
    """

    dialogues: Sequence[Mapping[str, Any]]
    labels: np.ndarray
    logits: Sequence[np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class PreparedRun(ABC):
    """A training that is ready to begin: a model, its trainer, and what `run.json` says
    of them.

    Attributes:
        options: What the run was asked for.
        model: The model; once [`score`] was called, the one to save.
        trainer: Trains `model`.
        training_turns: How many turns it learns from.
        settings: What was asked for, as `run.json` states it.
        facts: What was found on the way, as `run.json` states it.
    """

    options: TrainOptions
    model: Any
    trainer: EmoNetTrainer
    training_turns: int
    settings: dict[str, Any]
    facts: dict[str, Any]

    def adjust(self) -> dict[str, Any]:
        """Fit what is fitted to the trained model; returns what `run.json` says of it."""
        return {}

    @abstractmethod
    def score(self) -> ScoredSplit:
        """Score validation with the model as it is saved."""


class Family(Protocol):
    """The steps that a family of models has its own way for."""

    def prepare(self, options: TrainOptions) -> PreparedRun:
        """Load corpus and backbone and set up the model, its data and its trainer.

        Raises:
            EmoNetError: for options that the family does not take, or a corpus without
                train or validation.
        """
        ...

    def load(self, dataset: str, data_dir: str | None, config: Any) -> Conversations:
        """The corpus with the histories that a model of that configuration reads, under
        its labels.
        """
        ...

    def score(
        self,
        model: Any,
        processor: Any,
        conversations: Conversations,
        options: EvaluateOptions,
    ) -> ScoredSplit:
        """Score the split that `options` names."""
        ...


def check_trainable(conversations: Conversations, dataset: str) -> None:
    """Raise an EmoNetError for a corpus that lacks a split which training reads."""
    for split in ("train", "validation"):
        if split not in conversations:
            raise EmoNetError(f"{dataset!r} has no {split} split: training needs train and validation files.")
