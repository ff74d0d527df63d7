"""Hold the labels that a visitor gives to a script, and who else labelled it."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...annotation.dialogues import AnnotatedDialogue, merge
from ...errors import DataFormatError
from ...evaluation.agreement import Agreement, agreement
from ...inference.session_labels import SessionLabels
from .analysis import Analysis

MAX_UNDO = 1000  # steps
YOU = "you"

Turn = tuple[int, int]  # the indices of a dialogue and of its turn


@dataclass
class Annotation:
    """The labels that a visitor has given to the turns of a labelled script.

    The rows of `analysis` are the model's predictions in the light of these labels; a
    given label is a row of its own kind, with `source: "given"`.

    Attributes:
        analysis: The labelled script.
        given: The label of each confirmed or corrected turn.
        predicted: What the model predicted for a turn before it was given a label.
        changed: The label that a turn had before the last update; of turns that changed.
        other: The labels of a second annotator.
        other_name: The name of the second annotator.
        current: The turn that keys act on first.
        least_certain_first: Whether the next turn is the least certain one.
        uses_later_labels: Whether a label also tells about earlier turns.
        kept: The dialogue that was labelled last, by its index, as the model encoded it.
        is_exported: Whether all labels are in a file that was downloaded.
        version: Counts the changes of labels.
    """

    analysis: Analysis
    given: dict[Turn, str] = field(default_factory=dict)
    predicted: dict[Turn, dict[str, Any]] = field(default_factory=dict)
    changed: dict[Turn, str] = field(default_factory=dict)
    other: dict[Turn, str] = field(default_factory=dict)
    other_name: str = ""
    current: Turn = (0, 0)
    least_certain_first: bool = False
    uses_later_labels: bool = False
    kept: tuple[int, SessionLabels] | None = None
    is_exported: bool = True
    version: int = 0
    _undo: deque[dict[Turn, str | None]] = field(default_factory=lambda: deque(maxlen=MAX_UNDO))

    def turns(self) -> Iterator[tuple[Turn, dict[str, Any]]]:
        """Yield every turn with its row, in order."""
        for dialogue, (_, rows) in enumerate(self.analysis.dialogues):
            for index, row in enumerate(rows):
                yield (dialogue, index), row

    def has(self, turn: Turn) -> bool:
        """Whether there is such a turn."""
        dialogue, index = turn
        dialogues = self.analysis.dialogues
        return 0 <= dialogue < len(dialogues) and 0 <= index < len(dialogues[dialogue][1])

    def row(self, turn: Turn) -> dict[str, Any]:
        """Return the row of a turn."""
        return self.analysis.dialogues[turn[0]][1][turn[1]]

    def give(self, labels: Mapping[Turn, str | None]) -> set[int]:
        """Give turns their labels, or take them back with None.

        Returns:
            The dialogues in which a label changed.
        """
        changes = {turn: label for turn, label in labels.items() if self.given.get(turn) != label}
        if changes:
            self._undo.append({turn: self.given.get(turn) for turn in changes})
            self._apply(changes)
        return {dialogue for dialogue, _ in changes}

    def undo(self) -> Turn | None:
        """Take the last change back and return its turn; None if there is none."""
        if not self._undo:
            return None
        changes = self._undo.pop()
        self._apply(changes)
        return next(iter(changes))

    def _apply(self, changes: Mapping[Turn, str | None]) -> None:
        self.version += 1
        self.is_exported = False
        for turn, label in changes.items():
            row = self.row(turn)
            if label is None:
                self.given.pop(turn, None)
                row.update(self.predicted.pop(turn))
                row.pop("source", None)
                continue
            self.given[turn] = label
            self.predicted.setdefault(turn, {key: row[key] for key in ("label", "score", "scores")})
            row.update(given_row(label, self.analysis.labels))

    def update(self, dialogue: int, rows: Iterable[Mapping[str, Any]]) -> list[Turn]:
        """Take a dialogue's new predictions, and return the turns whose label changed.

        Given labels stay, whatever the rows say of their turns.
        """
        changed = []
        for index, row in enumerate(rows):
            turn, shown = (dialogue, index), self.row((dialogue, index))
            if turn in self.given:
                continue
            if row["label"] != shown["label"]:
                changed.append(turn)
                self.changed[turn] = shown["label"]
            shown.update({key: row[key] for key in ("label", "score", "scores")})
        return changed

    def given_in(self, dialogue: int) -> dict[int, str]:
        """Return the given labels of a dialogue by the index of their turn."""
        return {index: label for (owner, index), label in self.given.items() if owner == dialogue}

    def part_index(self, turn: Turn) -> int:
        """Return the index of the part with a turn."""
        for index, part in enumerate(self.analysis.parts()):
            if part.dialogue == turn[0] and turn[1] in part.indices:
                return index
        return 0

    def compare(self, labels: dict[Turn, str], name: str) -> None:
        """Keep a second annotator's labels."""
        self.other, self.other_name = labels, name if name != YOU else f"{name} (file)"

    def open_turns(self) -> list[Turn]:
        """Return the turns without a given label."""
        return [turn for turn, _ in self.turns() if turn not in self.given]

    def least_certain(self) -> Turn | None:
        """Return the open turn with the least probable label; None if all are given."""
        return min(self.open_turns(), key=lambda turn: self.row(turn)["score"], default=None)

    def next_after(self, turn: Turn) -> Turn:
        """Return the turn to label after this one; this one itself if none is left."""
        if self.least_certain_first:
            return self.least_certain() or turn
        dialogue, index = turn
        return next(filter(self.has, ((dialogue, index + 1), (dialogue + 1, 0))), turn)

    @property
    def total(self) -> int:
        """The number of turns."""
        return sum(len(rows) for _, rows in self.analysis.dialogues)

    def dialogues(self) -> list[AnnotatedDialogue]:
        """Return all dialogues with the visitor's labels and the model's predictions."""
        found = []
        for dialogue, (name, rows) in enumerate(self.analysis.dialogues):
            turns = [{"speaker": row["speaker"], "text": row["text"]} for row in rows]
            labels = {YOU: [self.given.get((dialogue, index)) for index in range(len(rows))]}
            predictions = [self.predicted.get((dialogue, index), row) for index, row in enumerate(rows)]
            own = [{"label": one["label"], "score": one["score"]} for one in predictions]
            found.append(AnnotatedDialogue(name, turns, labels, own))
        return found

    def matched(self, dialogues: list[AnnotatedDialogue], name: str) -> dict[Turn, str]:
        """Find the turns of an annotator's file in this script.

        Returns:
            The label of each turn that the file labels; the most frequent one, where the
            file has several annotators.

        Raises:
            DataFormatError: for a file with other dialogues or turns, and for labels that
                the model does not have.
        """
        own = self.dialogues()
        if len(own) == len(dialogues) == 1:  # an id says nothing where there is one dialogue
            dialogues = [AnnotatedDialogue(own[0].dialogue_id, dialogues[0].turns, dialogues[0].labels)]
        indices = {one.dialogue_id: index for index, one in enumerate(own)}
        missing = [one.dialogue_id for one in dialogues if one.dialogue_id not in indices]
        if missing:
            raise DataFormatError(
                f"{name}: dialogue {missing[0]!r:.80} is not in this script; its dialogues are "
                f"{', '.join(list(indices)[:5])}. Label the same script in both."
            )
        merge([("this script", own), (name, dialogues)])  # refuses other turns
        labels = {
            (indices[one.dialogue_id], index): label
            for one in dialogues
            for index in range(len(one.turns))
            if (label := one.majority(index)) is not None
        }
        spelled = {label.casefold(): label for label in self.analysis.labels}
        unknown = sorted({label for label in labels.values() if label.casefold() not in spelled})
        if unknown:
            raise DataFormatError(
                f"{name}: {', '.join(map(repr, unknown[:5]))}: not among the model's labels, which are "
                f"{', '.join(self.analysis.labels)}."
            )
        return {turn: spelled[label.casefold()] for turn, label in labels.items()}

    def agreement(self) -> Agreement | None:
        """Measure the agreement with the second annotator; None without one."""
        if not self.other_name:
            return None
        every = [turn for turn, _ in self.turns()]
        labels = {YOU: self.given, self.other_name: self.other}
        return agreement({name: [found.get(turn) for turn in every] for name, found in labels.items()})

    def carried_over(self, analysis: Analysis) -> "Annotation":
        """Begin with another labelled script; labels of the same dialogues are kept."""
        new = Annotation(
            analysis,
            least_certain_first=self.least_certain_first,
            uses_later_labels=self.uses_later_labels,
        )
        texts = {name: _texts(rows) for name, rows in self.analysis.dialogues}
        indices = {name: index for index, (name, _) in enumerate(self.analysis.dialogues)}
        for dialogue, (name, rows) in enumerate(analysis.dialogues):
            if texts.get(name) == _texts(rows):
                kept = {
                    (dialogue, turn[1]): label
                    for turn, label in self.given.items()
                    if turn[0] == indices[name]
                }
                new.give(kept)
        return new


def given_row(label: str, labels: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a turn whose label is given."""
    scores = {label: 1.0, **{other: 0.0 for other in labels if other != label}}
    return {"label": label, "score": 1.0, "scores": scores, "source": "given"}


def _texts(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(row["speaker"], row["text"]) for row in rows]
