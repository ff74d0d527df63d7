"""Fit a bias for each class to predictions on dialogues held out of training.

With `out_of_fold`, each member of a [`HeadEnsemble`] leaves out its own fold of the
training dialogues. The members' predictions on their folds then show how the heads do on
new dialogues, on a set seven times as large as EmoryNLP's validation set. A trained
backbone has seen all training dialogues, so there the bias is fitted to `validation`, and
the validation metrics are optimistic afterwards.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..constants import NO_LABEL
from ..errors import EmoNetError
from ..evaluation.metrics import neutral_ids
from ..evaluation.significance import metric_of_counts
from ..fine_tuning.encoding import EmoNetCollator, EncodedSplit
from ..inference.predict import batches_by_length, predict_logits
from ..layers.heads import HeadEnsemble
from ..modeling_emonet import EmoNetForSequenceClassification

FloatArray = npt.NDArray[np.floating[Any]]

_STEPS = np.linspace(-1, 1, 21)  # a bias of 1 multiplies a class's odds by 2.7
_SWEEPS = 4


def prepare_adjustment(adjustment: str, split: EncodedSplit, members: int) -> None:
    """Assign folds to the training split before training, if the adjustment needs them.

    Args:
        adjustment: One of `LOGIT_ADJUSTMENTS`.
        split: The training split.
        members: The number of heads.

    Raises:
        EmoNetError: for `out_of_fold` with a single head: each fold needs its own.
    """
    if adjustment != "out_of_fold":
        return
    if members < 2:
        raise EmoNetError(
            "logit_adjustment='out_of_fold' needs several heads; set head_members=5, for example, or "
            "logit_adjustment='validation'."
        )
    assign_folds(split, members)


def assign_folds(split: EncodedSplit, members: int) -> None:
    """Assign each dialogue to the fold of one member, which is not trained on it."""
    for index, windows in enumerate(split.windows):
        for window in windows:
            window["fold"] = index % members


def member_labels(labels: torch.Tensor, folds: torch.Tensor, members: int) -> torch.Tensor:
    """Labels (B, T, M) for each member: -100 where the dialogue is in its own fold.

    Args:
        labels: Label ids (B, T).
        folds: The fold of each dialogue (B,).
        members: The number of members M.
    """
    own = folds[:, None] == torch.arange(members, device=folds.device)
    return labels[:, :, None].expand(-1, -1, members).masked_fill(own[:, None], NO_LABEL)


@torch.inference_mode()
def out_of_fold_logits(
    model: EmoNetForSequenceClassification,
    split: EncodedSplit,
    collator: EmoNetCollator,
    batch_size: int = 16,
) -> FloatArray:
    """Log-probabilities (N, C) of all turns, by the member not trained on the dialogue.

    Args:
        model: A model with a [`HeadEnsemble`].
        split: A split with folds; its turns keep their order.
        collator: Pads the examples.
        batch_size: Windows per forward pass.
    """
    model.eval()  # type: ignore[no-untyped-call]  # transformers
    parts: list[Any] = [None] * len(split)
    for indices in batches_by_length(split.examples, batch_size, 8192):
        batch = collator([split[index] for index in indices])
        folds, _ = batch.pop("folds"), batch.pop("labels")
        output = model(**{key: value.to(model.device) for key, value in batch.items()})
        logits = output.member_logits.float().log_softmax(-1)
        for row, index in enumerate(indices):
            example = split[index]
            turns = slice(example["read_from"], len(example["speaker_ids"]))
            parts[index] = logits[row, turns, int(folds[row])].cpu().numpy()
    return np.concatenate(parts)


def fit_class_bias(
    logits: FloatArray,
    gold: npt.NDArray[Any],
    dialogues: npt.NDArray[Any],
    resamples: int = 20,
    seed: int = 0,
    metric: str = "weighted_f1",
    neutral: Sequence[int] = (),
) -> FloatArray:
    """Fit the class bias (C,), with mean 0, that gives the best value of a metric.

    It is the mean of the best biases of bootstrap resamples of the dialogues, because the
    best bias of the sample itself would fit its noise.

    Args:
        logits: Scores (N, C) that the bias is added to.
        gold: Label ids (N,). Turns with -100 are ignored.
        dialogues: The dialogue (N,) of each turn.
        resamples: The number of bootstrap resamples.
        seed: Seed of the resampling.
        metric: As in [`metric_of_counts`].
        neutral: As in [`metric_of_counts`].
    """
    kept = gold != NO_LABEL
    logits, gold, dialogues = logits[kept], gold[kept], dialogues[kept]
    turns_of = [np.flatnonzero(dialogues == dialogue) for dialogue in np.unique(dialogues)]
    rng = np.random.default_rng(seed)
    biases = []
    for _ in range(resamples):
        drawn = rng.integers(len(turns_of), size=len(turns_of))
        turns = np.concatenate([turns_of[index] for index in drawn])
        biases.append(_best_bias(logits[turns], gold[turns], metric, neutral))
    bias: FloatArray = np.mean(biases, axis=0)
    bias -= bias.mean()
    return bias


def _best_bias(logits: FloatArray, gold: npt.NDArray[Any], metric: str, neutral: Sequence[int]) -> FloatArray:
    """Search the bias (C,) on a grid, class by class, until a sweep gains nothing."""
    bias = np.zeros(logits.shape[1])
    best = float(metric_of_counts(_counts_by_step(logits, gold, bias, 0, bias[:1])[0], metric, neutral))
    for _ in range(_SWEEPS):
        before = best
        for label in range(len(bias)):
            scores = metric_of_counts(_counts_by_step(logits, gold, bias, label, _STEPS), metric, neutral)
            if scores.max() > best:
                best, bias[label] = float(scores.max()), _STEPS[scores.argmax()]
        if best == before:
            break
    return bias


def _counts_by_step(
    logits: FloatArray, gold: npt.NDArray[Any], bias: FloatArray, label: int, steps: FloatArray
) -> npt.NDArray[Any]:
    """Confusion counts (K, C, C) for each of K rising values of one class's bias.

    A turn changes its class once, where the value is high enough, so that all values
    need one pass over the turns.
    """
    classes = logits.shape[1]
    others = logits + bias
    others[:, label] = -np.inf
    rival = others.argmax(-1)
    score = others[np.arange(len(others)), rival]
    # A tie goes to the class that comes first, as in `argmax`.
    needed = np.where(label < rival, score, np.nextafter(score, np.inf))
    wins = steps[:, None] + logits[:, label] >= needed
    first = len(steps) - wins.sum(0)  # the first value with which the class wins
    cells = (first * classes + gold) * classes + rival
    lost = np.bincount(cells, minlength=(len(steps) + 1) * classes**2).reshape(-1, classes, classes)
    moved = lost[:-1].cumsum(0)
    counts: npt.NDArray[Any] = lost.sum(0) - moved
    counts[:, :, label] += moved.sum(-1)
    return counts


def adjust_logits(
    model: EmoNetForSequenceClassification,
    split: EncodedSplit,
    collator: EmoNetCollator,
    adjustment: str,
    metric: str = "weighted_f1",
) -> FloatArray:
    """Fit the class bias after training, and add it to the model's logits.

    Args:
        model: A [`HeadEnsemble`] keeps it apart; a single head adds it to its own bias.
        split: The training split with folds for `out_of_fold`, else validation.
        collator: Pads the examples.
        adjustment: `out_of_fold` or `validation`.
        metric: The metric that the bias is fitted to.

    Returns:
        The bias (C,).
    """
    classifier = model.classifier
    if isinstance(classifier, HeadEnsemble):
        classifier.class_bias.zero_()  # an earlier bias must not count
    if adjustment == "out_of_fold":
        logits = out_of_fold_logits(model, split, collator)
    else:
        logits = np.concatenate(predict_logits(model, collator.processor, split.windows, collator.memory))
    turns = [
        sum(len(window["labels"]) - window["read_from"] for window in windows) for windows in split.windows
    ]
    dialogues = np.repeat(np.arange(len(turns)), turns)
    neutral = neutral_ids(model.config.label_names)
    bias = fit_class_bias(logits, split.labels(), dialogues, metric=metric, neutral=neutral)
    if isinstance(classifier, HeadEnsemble):
        classifier.class_bias.copy_(torch.from_numpy(bias))
    else:
        *_, last = classifier.parameters()  # the bias of the head's last layer
        last.data += torch.from_numpy(bias).to(last)
    return bias
