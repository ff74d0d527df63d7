"""Divide a corpus into folds of whole episodes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..dialogue.tables.rows import Dialogue
from ..errors import DataFormatError

_VALIDATION_PARTS = 8  # one of eight parts of the training episodes chooses the epoch


@dataclass(frozen=True)
class Fold:
    """One of `count` folds: its episodes are the test set.

    Args:
        index: From 0.
        count: The number of folds, at least 2.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 2:
            raise DataFormatError(f"{self.count} folds: a corpus needs at least 2.")
        if not 0 <= self.index < self.count:
            raise DataFormatError(f"Fold {self.index} of {self.count}: folds are numbered from 0.")

    @property
    def version(self) -> str:
        """What the folds add to the version of a corpus; all folds share it."""
        return f"+episodes.{self.count}"


def in_fold(dialogues: Sequence[Dialogue], episodes: Sequence[str], fold: Fold) -> list[Dialogue]:
    """Assign every dialogue to the split that it has in a fold; the order stays.

    The fold's episodes are the test set. One of eight parts of the others is validation,
    the rest is train. All folds together test every dialogue once. Episodes are divided
    such that the parts have about equally many labelled turns. The division depends on
    nothing else, so every seed and every system has the same one.

    Args:
        dialogues: The whole corpus, whatever its splits.
        episodes: The episode of each dialogue.
        fold: The fold.

    Raises:
        DataFormatError: if there are too few episodes.
    """
    sizes: Counter[str] = Counter()
    for dialogue, episode in zip(dialogues, episodes, strict=True):
        sizes[episode] += sum(turn.emotion is not None for turn in dialogue.turns)
    found = f"the corpus has {len(sizes)} episode{'s' * (len(sizes) != 1)}"
    if len(sizes) < fold.count:
        raise DataFormatError(f"{fold.count} folds need as many episodes or groups, and {found}.")
    test = _parts(sizes, fold.count)
    others = Counter({episode: size for episode, size in sizes.items() if test[episode] != fold.index})
    if len(others) < 2:
        raise DataFormatError(
            f"Fold {fold.index} of {fold.count} leaves one episode to train on and none for validation, "
            f"because {found}."
        )
    held_out = _parts(others, min(_VALIDATION_PARTS, len(others)))
    splits = {
        episode: "test" if episode not in others else "validation" if held_out[episode] == 0 else "train"
        for episode in sizes
    }
    return [
        replace(dialogue, split=splits[episode])
        for dialogue, episode in zip(dialogues, episodes, strict=True)
    ]


def _parts(sizes: "Counter[str]", count: int) -> dict[str, int]:
    """Assign each episode to a part: the largest first, each to the smallest part.

    scikit-learn's `GroupKFold` does the same, but leaves the order of equal sizes to the
    processor's sort, and a study may be continued on another machine.
    """
    loads = [(0, 0)] * count  # labelled turns and episodes: no part stays empty
    parts = {}
    for episode, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        part = min(range(count), key=loads.__getitem__)
        loads[part] = loads[part][0] + size, loads[part][1] + 1
        parts[episode] = part
    return parts
