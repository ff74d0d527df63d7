"""Give each person of an input one name, however it is spelled."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformers.utils import logging

from .names import KnownNames, SpeakerKinds, Speakers, clean_name, same_case, speaker_kinds
from .turns import turn_speaker

logger = logging.get_logger(__name__)


class SpeakerNames:
    """The speakers of one input: persons, roles, and one name for each.

    A name that differs from a known person's by case alone is that person's, if no other
    known person is spelled so. Known are the model's persons, then those of a history,
    then who spoke before. A second spelling is told in a warning.

    Args:
        known: The persons that the model knows.
        speakers: See [`speaker_kinds`].
        names: The names of the input; they help to decide.
        history: Names of the history.
        warn: Whether to tell of second spellings.

    Attributes:
        kinds: Which of them are persons.
    """

    def __init__(
        self,
        known: Iterable[str] | KnownNames = (),
        speakers: Speakers = "auto",
        names: Iterable[str] = (),
        history: Iterable[str] = (),
        warn: bool = True,
    ):
        history = list(history)
        self._known = known if isinstance(known, KnownNames) else KnownNames(known)
        self._history = KnownNames(name for name in history if self._known.find(name) is None)
        self.kinds: SpeakerKinds = speaker_kinds([*names, *history], speakers, self._known)
        self._warn = warn
        self._names: dict[str, str] = {}  # as given → the one name
        self._spelled: dict[str, str] = {}  # the one name → as first given
        self._met: dict[str, str] = {}  # in one case → the one name

    def of(self, name: str) -> str:
        """Return the one name of a speaker, cleaned."""
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self._one_name(clean_name(name))
        return found

    def _one_name(self, name: str) -> str:
        known = None if self.kinds.rule == "roles" else self._known.find(name)
        found = known or self._history.find(name)
        if found is None:
            others = self._known.spellings(name) or self._history.spellings(name)
            if len(others) > 1:
                self._tell(
                    f"{name} is neither {' nor '.join(others)}, which differ by case: write one of them."
                )
                found = name
            else:
                found = self._met.setdefault(same_case(name), name)
        first = self._spelled.setdefault(found, name)
        if first != name:
            self._tell(f"{first} and {name} are taken for one person; write the name alike everywhere.")
        return found

    def is_known(self, name: str) -> bool:
        """Whether the model knows this person."""
        return self.kinds.rule != "roles" and self._known.find(name) is not None

    def turns(self, turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the turns with the one name of each speaker under `speaker`."""
        renamed = []
        for index, turn in enumerate(turns):
            turn = {**turn, "speaker": self.of(turn_speaker(turn, index))}
            if self.kinds.rule == "roles":
                turn["speaker_id"] = 0  # not the known person of that name
            renamed.append(turn)
        return renamed

    def utterances(self, history: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
        """Return a history under the one name of each speaker."""
        merged: dict[str, list[str]] = {}
        for name, texts in (history or {}).items():
            merged.setdefault(self.of(name), []).extend(texts)
        return merged

    def _tell(self, message: str) -> None:
        if self._warn:
            logger.warning(message)
