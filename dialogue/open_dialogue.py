"""Hold what encoding a dialogue in blocks of turns keeps from block to block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OpenDialogue:
    """What `EmoNetProcessor.encode_next` keeps of a dialogue for its later turns.

    Attributes:
        use_later: Whether known labels of later turns tell about earlier ones.
        turns: How many turns were encoded.
        local_ids: The speakers' ids by order of appearance.
        rows: Lists with an entry for each kept turn: those of the window that is not full
            yet and, with one sequence a turn, those that later sequences reach.
        first: The index in the dialogue of the first kept turn.
        done: How many of the kept turns were read out before.
        known: The turns whose emotion is known, whether or not they are kept: index in
            the dialogue, local speaker id, distribution (C).
    """

    use_later: bool = False
    turns: int = 0
    local_ids: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    first: int = 0
    done: int = 0
    known: list[tuple[int, int, list[float]]] = field(default_factory=list)

    def extend(self, rows: Mapping[str, list[Any]]) -> None:
        """Append turns."""
        for key, values in rows.items():
            self.rows.setdefault(key, []).extend(values)
        self.turns = self.first + len(self.rows["pieces"])

    def known_around(self, first: int, end: int, reach: int) -> list[tuple[int, int, list[float]]]:
        """The known turns up to `reach` turns around those from `first` to before `end`.

        Their indices count from `first`, an index among the kept turns.
        """
        first, end = first + self.first, end + self.first
        return [
            (index - first, speaker, distribution)
            for index, speaker, distribution in self.known
            if first - reach <= index < end + reach
        ]

    def drop(self, count: int, done: int) -> None:
        """Forget the first `count` kept turns; `done` of the others were read out."""
        self.rows = {key: values[count:] for key, values in self.rows.items()}
        self.first, self.done = self.first + count, done
