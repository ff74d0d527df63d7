"""Hold what encoding a dialogue in blocks of turns keeps from block to block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OpenDialogue:
    """What `EmoNetProcessor.encode_next` keeps of a dialogue for its later turns.

    Attributes:
        turns: How many turns were encoded.
        local_ids: The speakers' ids by order of appearance.
        rows: Lists with an entry for each kept turn: those of the window that is not full
            yet and, with one sequence a turn, those that later sequences reach.
        first: The index in the dialogue of the first kept turn.
        done: How many of the kept turns were read out before.
    """

    turns: int = 0
    local_ids: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    first: int = 0
    done: int = 0

    def extend(self, rows: Mapping[str, list[Any]]) -> None:
        """Append turns."""
        for key, values in rows.items():
            self.rows.setdefault(key, []).extend(values)
        self.turns = self.first + len(self.rows["pieces"])

    def drop(self, count: int, done: int) -> None:
        """Forget the first `count` kept turns; `done` of the others were read out."""
        self.rows = {key: values[count:] for key, values in self.rows.items()}
        self.first, self.done = self.first + count, done
