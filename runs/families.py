"""The interface of a family of models: the steps in which runs differ."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from ..data import Conversations
from ..data.loading import primary_metric
from ..data.own import file_fields
from ..errors import EmoNetError
from ..modeling_emonet import EmoNetForSequenceClassification
from ..prompted.modeling import PromptedEmoNet
from ..train_trainer import EmoNetTrainer
from ..training.arguments import EmoNetTrainingArguments
from .options import DataOptions, EvaluateOptions, TrainOptions

ModelT = TypeVar("ModelT", contravariant=True)
ProcessorT = TypeVar("ProcessorT", contravariant=True)


@dataclass(frozen=True)
class ScoredSplit:
    """A model's logits for a split, with its dialogues and labels.

    Attributes:
        dialogues: Rows of the `dialogues` view.
        labels: (N,) label of every turn in order, -100 if unlabelled.
        logits: (T, C) for each dialogue.
        facts: Further entries of the evaluation's metrics.
        given: (N,) turns whose label was shown and that are not scored; None for none.
    """

    dialogues: Sequence[Mapping[str, Any]]
    labels: np.ndarray
    logits: Sequence[np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)
    given: np.ndarray | None = None


@dataclass
class PreparedRun(ABC):
    """A training run that is ready to start.

    Attributes:
        options: The options of the run.
        model: The model; after [`score`], the one to save.
        trainer: Trains `model`.
        training_turns: Number of training turns.
        settings: The requested settings, as written to `run.json`.
        facts: Facts found during preparation and training, as written to `run.json`.
    """

    options: TrainOptions
    model: EmoNetForSequenceClassification | PromptedEmoNet
    trainer: EmoNetTrainer
    training_turns: int
    settings: dict[str, Any]
    facts: dict[str, Any]

    def train(self, checkpoint: Path | None) -> None:
        """Train the model, from `checkpoint` on if there is one."""
        self.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    def adjust(self) -> dict[str, Any]:
        """Fit what follows training, and return facts for `run.json`."""
        return {}

    @abstractmethod
    def score(self) -> ScoredSplit:
        """Score the validation split with the model as it will be saved."""


class Family(Protocol[ModelT, ProcessorT]):
    """The steps that each family of models implements."""

    def prepare(self, options: TrainOptions) -> PreparedRun:
        """Load corpus and backbone, and set up the model, its data and its trainer.

        Raises:
            EmoNetError: If the family does not accept an option, or the corpus lacks the
                train or validation split.
        """
        ...

    def load(
        self,
        options: DataOptions,
        config: Any,
    ) -> Conversations:
        """Load a corpus with the histories and labels that a configuration needs."""
        ...

    def score(
        self,
        model: ModelT,
        processor: ProcessorT,
        conversations: Conversations,
        options: EvaluateOptions,
    ) -> ScoredSplit:
        """Score the split `options.split`."""
        ...


def choosing_epochs(training: Mapping[str, Any], conversations: Conversations) -> dict[str, Any]:
    """Let the corpus's own metric choose the epoch, unless `training` names one."""
    metric = primary_metric(conversations.dataset_version)
    is_default = metric == EmoNetTrainingArguments.metric_for_best_model
    return dict(training) if is_default else {"metric_for_best_model": metric, **training}


def check_trainable(conversations: Conversations, dataset: str) -> dict[str, int]:
    """Count the labelled turns of the train and the validation split.

    Raises:
        EmoNetError: If a split is missing or has no label.
    """
    for split in ("train", "validation"):
        if split not in conversations:
            raise EmoNetError(f"{dataset!r} has no {split} split: training needs train and validation files.")
    counts = conversations.restricted_to(("train", "validation")).labelled_turns()
    for split, count in counts.items():
        check_labelled(conversations, dataset, split, count)
    return counts


def check_labelled(conversations: Conversations, dataset: str, split: str, count: int | None = None) -> None:
    """Refuse a split in which no turn has a label; the error names the file's fields."""
    if count is None:
        count = conversations.restricted_to((split,)).labelled_turns()[split]
    if count:
        return
    path = conversations.files.get(split)
    fields = f"; {path.name} has the fields {', '.join(file_fields(path))}" if path else ""
    raise EmoNetError(
        f"{dataset!r}: no turn of the {split} split has a label{fields}. Give the labels under 'emotion'."
    )
