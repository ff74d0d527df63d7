"""Hold dialogues with the labels of one or more annotators, and put files together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dialogue.turns import clean_text
from ..errors import DataFormatError
from ..files.text import short

Labels = list[str | None]  # one for each turn; None where the annotator gave none


@dataclass
class AnnotatedDialogue:
    """A dialogue and who gave which label to its turns.

    Attributes:
        dialogue_id: Its id.
        turns: `{"speaker", "text"}` of each turn.
        labels: By annotator, a label or None for each turn.
        predictions: A model's `label` and `score` for each turn; empty without a model.
    """

    dialogue_id: str
    turns: list[dict[str, str]]
    labels: dict[str, Labels] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)

    def votes(self, index: int) -> Counter[str]:
        """Count the labels that the annotators gave to a turn."""
        return Counter(label for labels in self.labels.values() if (label := labels[index]) is not None)

    def majority(self, index: int) -> str | None:
        """Return the most frequent label of a turn; None for a tie or no label."""
        (first, count), (_, next_count) = [*self.votes(index).most_common(2), (None, 0), (None, 0)][:2]
        return first if count > next_count else None


def annotators_of(dialogues: Iterable[AnnotatedDialogue]) -> list[str]:
    """Return all annotators, in order of appearance."""
    return list(dict.fromkeys(name for dialogue in dialogues for name in dialogue.labels))


def merge(files: Sequence[tuple[str, Sequence[AnnotatedDialogue]]]) -> list[AnnotatedDialogue]:
    """Put the labels of several files on the same turns.

    Dialogues are the same if they have the same id. A dialogue that some files lack has
    the labels of the others. Annotators of one name in two files stay two, with the name
    of the file.

    Args:
        files: Pairs of a file's name and its dialogues.

    Raises:
        DataFormatError: for turns of a dialogue that differ in two files.
    """
    merged: dict[str, AnnotatedDialogue] = {}
    first_file: dict[str, str] = {}
    taken: set[str] = set()
    for name, dialogues in files:
        names = {own: _free(own, name, taken) for own in annotators_of(dialogues)}
        taken |= set(names.values())
        for dialogue in dialogues:
            labels = {names[own]: list(found) for own, found in dialogue.labels.items()}
            known = merged.get(dialogue.dialogue_id)
            if known is None:
                merged[dialogue.dialogue_id] = AnnotatedDialogue(
                    dialogue.dialogue_id, dialogue.turns, labels, dialogue.predictions
                )
                first_file[dialogue.dialogue_id] = name
                continue
            _check_same(known, first_file[dialogue.dialogue_id], dialogue, name)
            known.labels |= labels
            known.predictions = known.predictions or dialogue.predictions
    return list(merged.values())


def _free(own: str, file: str, taken: set[str]) -> str:
    name, number = own, 2
    while name in taken:
        name = f"{own} ({file})" if number == 2 else f"{own} ({file}, {number})"
        number += 1
    return name


def _check_same(known: AnnotatedDialogue, first: str, dialogue: AnnotatedDialogue, name: str) -> None:
    """Refuse two files that have other turns under the same id."""
    where = f"{name}: dialogue {short(dialogue.dialogue_id)}"
    remedy = "annotate the same dialogues, or give different ones different ids"
    if len(dialogue.turns) != len(known.turns):
        raise DataFormatError(
            f"{where} has {len(dialogue.turns)} turns, and {len(known.turns)} in {first}; {remedy}."
        )
    for number, (turn, other) in enumerate(zip(dialogue.turns, known.turns, strict=True), start=1):
        for key in ("speaker", "text"):
            if clean_text(turn[key]) != clean_text(other[key]):
                raise DataFormatError(
                    f"{where}, turn {number}: its {key} is {short(turn[key])}, and {short(other[key])} in "
                    f"{first}; {remedy}."
                )
