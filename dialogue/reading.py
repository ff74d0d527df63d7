"""Hold what the reader found: conversations, their form, and what was decided."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .names import same_case

UNKNOWN = "#UNKNOWN#"  # the speaker of a turn that names none


@dataclass
class Conversation:
    """One dialogue of a text or file.

    Attributes:
        dialogue_id: Its own id where the input has one, else `0`, `1`, ….
        turns: `{"speaker", "text"}` in order; `start` and `end` (seconds) where the form
            has them.
    """

    dialogue_id: str
    turns: list[dict[str, Any]]


@dataclass
class Reading:
    """A text or file as conversations.

    Attributes:
        form: The form it was read as, such as `WhatsApp export`.
        conversations: In order of appearance.
        notes: What was left out or decided, such as `2 lines without a sender left out`.
    """

    form: str
    conversations: list[Conversation]
    notes: list[str] = field(default_factory=list)

    @property
    def speakers(self) -> Counter[str]:
        """The number of turns by speaker, in order of appearance.

        Names that differ by case alone are one person, under the first spelling.
        """
        return _by_person(Counter(turn["speaker"] for found in self.conversations for turn in found.turns))

    def summary(self) -> str:
        """Say on one line what was read: `script: 3 turns, 2 speakers: Ann 2, Bob 1`."""
        names = Counter(turn["speaker"] for found in self.conversations for turn in found.turns)
        return summarize(self.form, names, len(self.conversations), self.notes)


def summarize(form: str, speakers: Counter[str], dialogues: int, notes: Iterable[str] = ()) -> str:
    """Write the line of `Reading.summary` from counts.

    Args:
        form: The form.
        speakers: The number of turns by name; names that differ by case are one person.
        dialogues: The number of dialogues.
        notes: What was left out or decided.
    """
    turns = speakers.total()
    facts = [f"{turns} turn{'s' * (turns != 1)}"]
    if dialogues > 1:
        facts.append(f"{dialogues} dialogues")
    persons = _by_person(speakers)
    named = ", ".join(f"{name} {count}" for name, count in persons.most_common(5))
    more = f" and {len(persons) - 5} more" if len(persons) > 5 else ""
    facts.append(f"{len(persons)} speaker{'s' * (len(persons) != 1)}: {named}{more}")
    first = {same_case(name): name for name in reversed(speakers)}
    notes = [
        *notes,
        *(f"{name} counted as {first[same_case(name)]}" for name in speakers if name not in persons),
    ]
    return "; ".join([f"{form}: {', '.join(facts)}", *notes])


def _by_person(names: Counter[str]) -> Counter[str]:
    persons: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, count in names.items():
        persons[first.setdefault(same_case(name), name)] += count
    return persons
