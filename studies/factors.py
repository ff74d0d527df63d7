"""Cross the factors of a study into rows, and name their effects.

A factor has levels, each with settings; a row is a choice of one level of each factor.
The first level of a factor is its base, which effects are measured from.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EmoNetError

Levels = Mapping[str, Sequence[str]]  # factor → its levels, the base first


@dataclass(frozen=True)
class Effect:
    """A main effect, or an interaction of two factors.

    Attributes:
        levels: Factor → the level that is compared with the factor's base.
        weights: Row → its share in the effect.
    """

    levels: dict[str, str]
    weights: dict[str, float]

    @property
    def name(self) -> str:
        """For example `memory: corpus`, or `memory: corpus × loss: weighted`."""
        return " × ".join(f"{factor}: {level}" for factor, level in self.levels.items())


def row_name(levels: Sequence[str]) -> str:
    """The name of the row with these levels."""
    return ", ".join(levels)


def crossed(levels: Levels) -> dict[str, dict[str, str]]:
    """Row → factor → level, for all combinations; the last factor changes first.

    Raises:
        EmoNetError: for a factor with one level, or a level that two factors have.
    """
    names = list(itertools.chain(*levels.values()))
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise EmoNetError(f"factors: the level {twice[0]!r} is there twice; rows are named by their levels.")
    for factor, of_factor in levels.items():
        if len(of_factor) < 2:
            raise EmoNetError(f"factors, {factor!r}: a factor has at least two levels.")
    combinations = itertools.product(*levels.values()) if levels else ()
    return {row_name(chosen): dict(zip(levels, chosen, strict=True)) for chosen in combinations}


def merged(settings: Sequence[Mapping[str, Any]], row: str) -> dict[str, Any]:
    """Merge what the levels of a row set.

    Raises:
        EmoNetError: if two levels set the same field to different values.
    """
    result: dict[str, Any] = {}
    for level in settings:
        for name, value in level.items():
            if result.setdefault(name, value) != value:
                raise EmoNetError(f"factors: two levels of the row {row!r} set {name}; one factor may.")
    return result


def effects_of(levels: Levels) -> list[Effect]:
    """All main effects, and then the interactions of two factors.

    A main effect is the mean difference between two levels over all levels of the other
    factors; an interaction is the mean difference of such differences.
    """
    return [
        Effect(dict(zip(factors, chosen, strict=True)), dict(_weights(levels, factors, chosen)))
        for size in (1, 2)
        for factors in itertools.combinations(levels, size)
        for chosen in itertools.product(*(levels[factor][1:] for factor in factors))
    ]


def weight_matrix(effects: Sequence[Effect], rows: Sequence[str]) -> npt.NDArray[np.float64]:
    """The weights (effects, rows)."""
    return np.array([[effect.weights.get(row, 0.0) for row in rows] for effect in effects])


def _weights(levels: Levels, factors: Sequence[str], chosen: Sequence[str]) -> Iterator[tuple[str, float]]:
    rows = crossed(levels)
    others = len(rows) / math.prod(len(levels[factor]) for factor in factors)
    for name, of_row in rows.items():
        weight = 1 / others
        for factor, level in zip(factors, chosen, strict=True):
            signs = {level: 1, levels[factor][0]: -1}
            weight *= signs.get(of_row[factor], 0)
        if weight:
            yield name, float(weight)
