"""Hold a labelled script: what the page shows, explains and offers for download."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...dialogue.names import SpeakerKinds, is_crowd, speaker_kinds
from ...dialogue.spellings import SpeakerNames
from ...inference.predict import TurnProcessor
from .palette import Look, looks

TURNS_PER_PART = 100


@dataclass
class Analysis:
    """Labelled dialogues in order of time.

    Attributes:
        labels: The model's emotions.
        dialogues: Pairs of an id and turns (`speaker`, `text`, `label`, `score`,
            `scores`).
        source: `script` or `chat`; begins the ids of the turns' elements.
    """

    labels: list[str]
    dialogues: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    source: str = "script"

    @property
    def looks(self) -> dict[str, Look]:
        """Colour and symbol of each label."""
        return looks(self.labels)

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The turns of all dialogues."""
        return [turn for _, turns in self.dialogues for turn in turns]

    def parts(self) -> list["Part"]:
        """Return the portions to show at a time: dialogues, the long ones divided."""
        return [
            Part(dialogue, name, first, turns[first : first + TURNS_PER_PART], len(turns))
            for dialogue, (name, turns) in enumerate(self.dialogues)
            for first in range(0, len(turns), TURNS_PER_PART)
        ]

    def part(self, index: Any) -> "Part | None":
        """Return the part at an index; None for one that is gone, or never was."""
        parts = self.parts()
        return parts[index] if type(index) is int and index in range(len(parts)) else None

    def anchor(self, number: int) -> str:
        """Return the id of a turn's element, counted from 1."""
        return f"{self.source}-turn-{number}"

    def until(self, dialogue: int) -> list[list[dict[str, Any]]]:
        """Return the turns of each dialogue up to and including one of them."""
        return [turns for _, turns in self.dialogues[: dialogue + 1]]

    def speakers(self) -> list[str]:
        """Return all speakers, in order of appearance."""
        return list(dict.fromkeys(turn["speaker"] for turn in self.turns))

    def kinds(self, processor: TurnProcessor) -> SpeakerKinds:
        """Return which speakers the model takes for persons, and which for roles."""
        return speaker_kinds(self.speakers(), known=processor.speakers)

    def names(self, processor: TurnProcessor) -> dict[str, str]:
        """Return each speaker's name as the model reads it."""
        names = SpeakerNames(processor.speakers, self.kinds(processor), warn=False)
        return {speaker: names.of(speaker) for speaker in self.speakers()}


@dataclass(frozen=True)
class Part:
    """Turns of one dialogue that are shown together.

    Attributes:
        dialogue: Index of the dialogue.
        name: Its id.
        first: Index of the first turn in the dialogue.
        turns: The turns.
        dialogue_turns: How many turns the whole dialogue has.
    """

    dialogue: int
    name: str
    first: int
    turns: Sequence[dict[str, Any]]
    dialogue_turns: int

    @property
    def indices(self) -> range:
        """The indices of its turns in the dialogue."""
        return range(self.first, self.first + len(self.turns))

    def title(self, dialogues: int) -> str:
        """Return its title in the list of parts.

        Args:
            dialogues: How many dialogues there are.
        """
        name = "" if self.name.isdigit() else f" ({self.name})"
        title = f"Dialogue {self.dialogue + 1} of {dialogues}{name}" if dialogues > 1 else ""
        if len(self.turns) == self.dialogue_turns:
            return title
        turns = f"turns {self.first + 1}–{self.first + len(self.turns)} of {self.dialogue_turns}"
        return f"{title}, {turns}" if title else turns.capitalize()


def identity_of(name: str, processor: TurnProcessor, kinds: SpeakerKinds) -> str:
    """Describe which person of the training data the model takes a speaker for.

    Args:
        name: The speaker's name in the script.
        processor: An `EmoNetProcessor` or a `PromptedProcessor`.
        kinds: Which speakers are persons.
    """
    if is_crowd(name):
        return "not named in the script"
    if kinds.is_role(name):
        return "a role: another person in every dialogue"
    known = len(processor.speakers)
    if SpeakerNames(processor.speakers, kinds).known_as(name) is None:
        return "not among the people the model was trained on"
    return f"one of the {known} people the model was trained on"
