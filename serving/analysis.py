"""A labelled script: what the page shows, explains and gives to download."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dialogue.names import is_crowd, is_role
from ..dialogue.turns import clean_text
from ..prompted.prompts import LabelledTurn
from .palette import Look, looks

TURNS_A_PART = 100


@dataclass
class Analysis:
    """Dialogues in order of time, each with an id and its labelled turns (`speaker`,
    `text`, `label`, `score`, `scores`).
    """

    labels: list[str]
    dialogues: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)

    @property
    def looks(self) -> dict[str, Look]:
        """Colour and symbol of each label."""
        return looks(self.labels)

    @property
    def size(self) -> int:
        """Turns of all dialogues."""
        return sum(len(turns) for _, turns in self.dialogues)

    def parts(self) -> list["Part"]:
        """What is shown at a time: a dialogue, or a portion of a long one."""
        parts = []
        for number, (name, turns) in enumerate(self.dialogues):
            for first in range(0, len(turns), TURNS_A_PART):
                parts.append(Part(number, name, first, turns[first : first + TURNS_A_PART], len(turns)))
        return parts

    def said_before(self, dialogue: int) -> dict[str, list[str]]:
        """What persons said in the dialogues before that one, as a memory of the corpus
        holds it.
        """
        said: dict[str, list[str]] = {}
        for _, turns in self.dialogues[:dialogue]:
            for turn in turns:
                if not is_role(clean_text(turn["speaker"])):
                    said.setdefault(clean_text(turn["speaker"]), []).append(clean_text(turn["text"]))
        return said

    def felt_before(self, dialogue: int, place: int) -> list[tuple[int | None, LabelledTurn]]:
        """What the speaker of a turn said and felt before it, oldest first, with the
        turn's place; None in earlier dialogues.
        """
        turns = self.dialogues[dialogue][1]
        name = clean_text(turns[place]["speaker"])
        before = (
            []
            if is_role(name)
            else [(None, turn) for _, earlier in self.dialogues[:dialogue] for turn in earlier]
        )
        said = [*before, *enumerate(turns[:place])]
        return [
            (number, LabelledTurn(turn["text"], turn["label"]))
            for number, turn in said
            if clean_text(turn["speaker"]) == name
        ]

    def speakers(self) -> list[str]:
        """All speakers, in order of appearance."""
        return list(dict.fromkeys(turn["speaker"] for _, turns in self.dialogues for turn in turns))


@dataclass(frozen=True)
class Part:
    """Turns `first` … of dialogue number `dialogue`."""

    dialogue: int
    name: str
    first: int
    turns: Sequence[dict[str, Any]]
    whole: int

    def title(self, dialogues: int) -> str:
        """What to choose it by."""
        title = f"Dialogue {self.dialogue + 1} of {dialogues}" + (
            "" if self.name.isdigit() else f" ({self.name})"
        )
        if len(self.turns) < self.whole:
            title += f", turns {self.first + 1}–{self.first + len(self.turns)} of {self.whole}"
        return title


def identity_of(name: str, processor: Any) -> str:
    """Who the model takes a speaker for."""
    name = clean_text(name)
    if is_crowd(name):
        return "not named in the script"
    if is_role(name):
        return "a role: another person in every dialogue"
    known = processor.speakers.get(name)
    if known is None:
        return "not among the people the model was trained on"
    return f"one of the {len(processor.speakers)} people the model was trained on"
