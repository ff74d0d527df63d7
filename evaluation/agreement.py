"""Measure how far annotators agree: percent agreement, Cohen's and Fleiss' kappa."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import cohen_kappa_score

from ..errors import EmoNetError

Labels = Sequence[str | None]  # one for each turn; None where the annotator gave none


@dataclass(frozen=True)
class PairAgreement:
    """The agreement of two annotators on the turns that both labelled.

    Attributes:
        first: The name of one.
        second: The name of the other.
        turns: How many turns both labelled.
        agreed: On how many of them they agree.
        kappa: Cohen's kappa (Cohen 1960); None where it is undefined: without common
            turns, or if both gave one and the same label to all.
        only_first: How many turns the first alone labelled.
        only_second: How many turns the second alone labelled.
    """

    first: str
    second: str
    turns: int
    agreed: int
    kappa: float | None
    only_first: int
    only_second: int


@dataclass(frozen=True)
class Agreement:
    """The agreement of all annotators.

    Attributes:
        turns: The number of turns.
        labelled_by_all: How many of them every annotator labelled; Fleiss' kappa is over
            these.
        labelled_by_some: How many only some of the annotators labelled.
        fleiss_kappa: Fleiss' kappa; None where it is undefined.
        counts: By annotator, how many turns got each label.
        pairs: The agreement of every two.
        disagreements: Indices of the turns with different labels.
    """

    turns: int
    labelled_by_all: int
    labelled_by_some: int
    fleiss_kappa: float | None
    counts: dict[str, dict[str, int]]
    pairs: list[PairAgreement]
    disagreements: list[int]


def agreement(labels: Mapping[str, Labels]) -> Agreement:
    """Measure the agreement of two or more annotators on the same turns.

    Args:
        labels: By annotator, a label or None for each turn.

    Raises:
        EmoNetError: for fewer than two annotators, or lists of different lengths.
    """
    if len(labels) < 2:
        raise EmoNetError(f"Agreement takes two annotators or more; here is {len(labels)}.")
    lengths = {name: len(found) for name, found in labels.items()}
    if len(set(lengths.values())) > 1:
        raise EmoNetError(f"The annotators have different numbers of turns: {lengths}.")
    turns = [[label for label in found if label is not None] for found in zip(*labels.values(), strict=True)]
    by_all = [found for found in turns if len(found) == len(labels)]
    return Agreement(
        turns=len(turns),
        labelled_by_all=len(by_all),
        labelled_by_some=sum(0 < len(found) < len(labels) for found in turns),
        fleiss_kappa=fleiss_kappa(_counts(by_all)) if by_all else None,
        counts={
            name: dict(Counter(label for label in found if label is not None).most_common())
            for name, found in labels.items()
        },
        pairs=[_pair(first, second, labels) for first, second in combinations(labels, 2)],
        disagreements=[index for index, found in enumerate(turns) if len(set(found)) > 1],
    )


def fleiss_kappa(counts: npt.NDArray[np.int64]) -> float | None:
    """Fleiss' kappa: agreement of several raters beyond chance (Fleiss 1971).

    Args:
        counts: How many raters gave each item each label (N, C); every item has the same
            number of raters, two or more.

    Returns:
        1 for full agreement, 0 for chance; None if all labels are the same one, where
        chance agrees fully too.
    """
    raters = int(counts[0].sum())
    shares = counts.sum(0) / counts.sum()
    observed = float(((counts**2).sum(1) - raters).mean() / (raters * (raters - 1)))
    expected = float((shares**2).sum())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two raters; None without items, and if all labels are the same."""
    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(list(first), list(second)))


def _pair(first: str, second: str, labels: Mapping[str, Labels]) -> PairAgreement:
    pairs = list(zip(labels[first], labels[second], strict=True))
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    return PairAgreement(
        first=first,
        second=second,
        turns=len(both),
        agreed=sum(one == other for one, other in both),
        kappa=cohens_kappa([one for one, _ in both], [other for _, other in both]),
        only_first=sum(one is not None and other is None for one, other in pairs),
        only_second=sum(one is None and other is not None for one, other in pairs),
    )


def _counts(turns: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    names = sorted({label for found in turns for label in found})
    return np.array([[found.count(name) for name in names] for found in turns])
