"""The bias by which classes are weighed against each other, fitted to what a model says
of dialogues it has not learnt from.

`out_of_fold`: each member of a [`HeadEnsemble`] leaves out its fold of the training
dialogues, so that the training set itself, seven times the size of EmoryNLP's validation
set, shows what the heads say of new dialogues. Where the backbone is trained too, it has
seen all of them: then the bias is fitted to `validation`, whose own figures flatter from
then on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..data.collator import EmoNetCollator, EncodedCorpus, EncodedSplit
from ..errors import EmoNetError
from ..evaluation.significance import dialogue_counts, metric_of_counts
from ..inference.predict import batches_by_length, predict_logits
from ..processing_emonet import NO_LABEL

_STEPS = np.linspace(-1, 1, 21)  # a bias of 1 multiplies a class's odds by 2.7
_SWEEPS = 4


def prepare_adjustment(adjustment: str, split: EncodedSplit, members: int) -> None:
    """Before training: give the dialogues of the training split their folds, if the
    adjustment needs them.

    Raises:
        EmoNetError: for a single head: an ensemble carries the bias, and its members
            leave out parts for each other.
    """
    if adjustment != "none" and members < 2:
        raise EmoNetError(
            f"logit_adjustment={adjustment!r} needs several heads, which carry the classes' bias: head_members=5."
        )
    if adjustment == "out_of_fold":
        assign_folds(split, members)


def assign_folds(split: EncodedSplit, members: int) -> None:
    """Give every window of a training split the member that does not learn from its
    dialogue.
    """
    for number, windows in enumerate(split.windows):
        for window in windows:
            window["fold"] = number % members


def member_labels(labels: torch.Tensor, folds: torch.Tensor, members: int) -> torch.Tensor:
    """(B, T) labels and (B,) folds → (B, T, M): the labels that each member learns from,
    -100 in its own fold.
    """
    own = folds[:, None] == torch.arange(members, device=folds.device)
    return labels[:, :, None].expand(-1, -1, members).masked_fill(own[:, None], NO_LABEL)


@torch.inference_mode()
def out_of_fold_logits(
    model: Any, split: EncodedSplit, collator: EmoNetCollator, batch_size: int = 16
) -> np.ndarray:
    """(N, C): for every turn of a split with folds, in order, the log-probabilities by
    the member that left it out.
    """
    model.eval()
    parts: list[Any] = [None] * len(split)
    for places in batches_by_length(split.examples, batch_size, 8192):
        batch = collator([split[place] for place in places])
        folds, _ = batch.pop("folds"), batch.pop("labels")
        logits = (
            model(**{key: value.to(model.device) for key, value in batch.items()})
            .member_logits.float()
            .log_softmax(-1)
        )
        for row, place in enumerate(places):
            example = split[place]
            turns = slice(example["read_from"], len(example["speaker_ids"]))
            parts[place] = logits[row, turns, int(folds[row])].cpu().numpy()
    return np.concatenate(parts)


def fit_class_bias(
    logits: np.ndarray, gold: np.ndarray, dialogues: np.ndarray, resamples: int = 20, seed: int = 0
) -> np.ndarray:
    """(C,) with mean 0: what to add to logits (N, C) so that their largest gives the best
    weighted F1.

    The mean over bootstrap resamples of the dialogues: the best bias of the sample itself
    follows its noise. Turns whose `gold` is -100 do not count.

    Args:
        gold / dialogues: (N,) label ids, and the dialogue of each turn.
    """
    kept = gold != NO_LABEL
    logits, gold, dialogues = logits[kept], gold[kept], dialogues[kept]
    turns_of = [np.flatnonzero(dialogues == dialogue) for dialogue in np.unique(dialogues)]
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        turns = np.concatenate(
            [turns_of[place] for place in random.integers(len(turns_of), size=len(turns_of))]
        )
        found.append(_best_bias(logits[turns], gold[turns]))
    bias = np.mean(found, axis=0)
    return bias - bias.mean()


def _best_bias(logits: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """(C,): searched class by class on a grid, from 0, until a sweep over all classes
    brings nothing.
    """

    def figure(bias: np.ndarray) -> float:
        counts = dialogue_counts(gold, (logits + bias).argmax(-1), np.zeros(len(gold)), len(bias))
        return float(metric_of_counts(counts[0], "weighted_f1"))

    bias = np.zeros(logits.shape[1])
    best = figure(bias)
    for _ in range(_SWEEPS):
        before = best
        for label in range(len(bias)):
            for step in _STEPS:
                tried = bias.copy()
                tried[label] = step
                if (score := figure(tried)) > best:
                    bias, best = tried, score
        if best == before:
            break
    return bias


def adjust_logits(model: Any, corpus: EncodedCorpus, adjustment: str) -> Sequence[float]:
    """After training: fit the class bias, set it, and give it."""
    if adjustment == "out_of_fold":
        split = corpus["train"]
        logits = out_of_fold_logits(model, split, corpus.collator)
    else:
        split = corpus["validation"]
        model.classifier.class_bias.zero_()
        logits = np.concatenate(
            predict_logits(model, corpus.processor, split.windows, corpus.collator.memory)
        )
    turns = [
        sum(len(window["labels"]) - window["read_from"] for window in windows) for windows in split.windows
    ]
    dialogues = np.repeat(np.arange(len(turns)), turns)
    bias = fit_class_bias(logits, split.labels(), dialogues)
    model.classifier.class_bias.copy_(torch.from_numpy(bias))
    return [round(float(value), 4) for value in bias]
