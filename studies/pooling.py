"""Pool the cells of a row and seed over all folds into one set of predictions."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import EmoNetError
from .cells import FinishedCell


@dataclass(frozen=True)
class PooledCell(FinishedCell):
    """Every turn of a corpus, each scored by a model that saw none of its episode.

    `run` is that of the first fold, `validation` has the means over folds, and `test` the
    version of the corpus and the episode of each dialogue.

    Attributes:
        folds: The cells of all folds.
    """

    folds: tuple[FinishedCell, ...] = ()

    def predictions(self, split: str = "test") -> list[dict[str, Any]]:
        """The prediction rows of all folds, without text."""
        return [row for cell in self.folds for row in cell.predictions(split)]

    def speakers(self) -> dict[str, Any] | None:
        """None: each fold has its own ids."""
        return None


def pooled(cells: Sequence[FinishedCell]) -> PooledCell:
    """Pool the cells of all folds.

    Raises:
        EmoNetError: if two folds test the same dialogue.
    """
    episodes: dict[str, str] = {}
    for cell in cells:
        if twice := sorted(episodes.keys() & cell.test["episodes"].keys()):
            raise EmoNetError(
                f"{cell.folder}: another fold has tested dialogue {twice[0]} too; run both again."
            )
        episodes |= cell.test["episodes"]
    first = cells[0]
    test = {name: first.test[name] for name in ("dataset_version", "per_class")}
    validation = {
        name: statistics.mean(cell.validation[name] for cell in cells)
        for name, value in first.validation.items()
        if isinstance(value, float)
    }
    return PooledCell(first.folder, first.run, validation, {**test, "episodes": episodes}, folds=tuple(cells))
