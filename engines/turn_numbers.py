"""Order the rows of a dialogue by the turn numbers that the input gives."""

import math
from array import array
from collections.abc import Mapping
from typing import Any

from ..dialogue.tables.columns import turn_number
from ..errors import DataFormatError
from ..files.text import short


class TurnNumbers:
    """The turn numbers of one dialogue, 16 bytes a turn.

    Args:
        name: The file's name, for messages.
        column: The column of the numbers.
        unit: What the lines count, for messages.
    """

    def __init__(self, name: str, column: str, unit: str = "line"):
        self.name, self.column, self.unit = name, column, unit
        self.lines, self.values = array("q"), array("d")

    def add(self, line: int, cells: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            DataFormatError: for a cell that is neither empty nor a number.
        """
        value = cells.get(self.column)
        number = math.nan if value is None or value == "" else _number(value)
        if number is None:
            raise self._error(line, f"{short(value)} is not a number")
        self.lines.append(line)
        self.values.append(number)

    def order(self) -> list[int]:
        """List the rows in the order of their numbers; without numbers, as they stand.

        Raises:
            DataFormatError: for a missing or repeated number.
        """
        if all(map(math.isnan, self.values)):
            return list(range(len(self.values)))
        seen: dict[float, int] = {}
        for line, number in zip(self.lines, self.values, strict=True):
            if math.isnan(number):
                raise self._error(line, "is empty")
            if number in seen:
                raise self._error(line, f"{number:g} was given before (on {self.unit} {seen[number]})")
            seen[number] = line
        return sorted(range(len(self.values)), key=self.values.__getitem__)

    def sorted(self) -> bool:
        """Whether the rows stand in the order of their numbers; raises as `order`."""
        return all(index == row for row, index in enumerate(self.order()))

    def _error(self, line: int, problem: str) -> DataFormatError:
        return DataFormatError(
            f"{self.name}, {self.unit} {line}, {self.column}: {problem}; number each turn of a dialogue "
            "once, or rename the column."
        )


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if (whole := turn_number(value)) is not None:  # also `1,0`
        return whole
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
