"""Give each person of an input one name, however it is spelled."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .names import KnownNames, SpeakerKinds, Speakers, clean_name, known_names, same_case, speaker_kinds
from .turns import turn_speaker

logger = logging.getLogger(__name__)

Turns: TypeAlias = Sequence[Mapping[str, Any]]
History: TypeAlias = Mapping[str, Sequence[str]]


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
        warnings: The warnings so far, in order.
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
        self._known = known if isinstance(known, KnownNames) else known_names(tuple(known))
        self.kinds: SpeakerKinds = speaker_kinds([*names, *history], speakers, self._known)
        self._history = KnownNames(name for name in history if self.known_as(name) is None)
        self._warn = warn
        self.warnings: dict[str, None] = {}
        self._names: dict[str, str] = {}  # as given → the one name
        self._spelled: dict[str, str] = {}  # the one name → as first given
        self._met: dict[str, str] = {}  # in one case → the one name
        self._roles: dict[str, str] = {}  # as given → the one name, of this dialogue's roles

    def known_as(self, name: str) -> str | None:
        """Return the model's name of a person, as it is stored; None for all others."""
        return None if self.kinds.rule == "roles" else self._known.find(name)

    def of(self, name: str) -> str:
        """Return the one name of a speaker, cleaned."""
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self._one_name(clean_name(name))
            if self.kinds.is_role(found):
                self._roles[name] = found
        return found

    def start_dialogue(self) -> None:
        """Forget who had a role in the dialogue before: it is somebody else now."""
        for given, name in self._roles.items():
            self._names.pop(given, None)
            self._spelled.pop(name, None)
            self._met.pop(same_case(name), None)
        self._roles = {}

    def turns(self, turns: Turns) -> list[dict[str, Any]]:
        """Return a dialogue's turns with the one name of each speaker under `speaker`."""
        self.start_dialogue()
        return self.next_turns(turns)

    def next_turns(self, turns: Turns) -> list[dict[str, Any]]:
        """Return further turns of the same dialogue, see `turns`."""
        if not isinstance(turns, (list, tuple)):
            raise TypeError(f"A dialogue is a list of turns; got {type(turns).__name__}.")
        renamed = []
        for index, turn in enumerate(turns):
            name = self.of(turn_speaker(turn, index))
            named: dict[str, Any] = {**turn, "speaker": name}
            if self.kinds.rule == "roles":
                named["speaker_id"] = 0  # not the known person of that name
            renamed.append(named)
        return renamed

    def utterances(self, history: History | None) -> dict[str, list[str]]:
        """Return a history under the one name of each speaker."""
        merged: dict[str, list[str]] = {}
        for name, texts in (history or {}).items():
            merged.setdefault(self.of(name), []).extend(texts)
        return merged

    def _one_name(self, name: str) -> str:
        found = clean_name(self.known_as(name) or self._history.find(name) or "")
        if not found:
            known = () if self.kinds.rule == "roles" else self._known.spellings(name)
            others = known or self._history.spellings(name)
            if others:  # several: none is found
                known_others = " and ".join(others)
                self._tell(f"{name} is taken for another person than {known_others}; write one name alike.")
            found = name if others else self._met.setdefault(same_case(name), name)
        first = self._spelled.setdefault(found, name)
        if first != name:
            self._tell(f"{first} and {name} are taken for one person; write the name alike everywhere.")
        return found

    def _tell(self, message: str) -> None:
        if self._warn and message not in self.warnings:  # roles are spelled anew in every dialogue
            logger.warning(message)
        self.warnings[message] = None


def with_one_name_each(
    dialogues: Sequence[Turns],
    histories: Sequence[History] | None = None,
    known: Iterable[str] | KnownNames = (),
    speakers: Speakers | Sequence[SpeakerKinds] = "auto",
) -> tuple[list[list[dict[str, Any]]], list[dict[str, list[str]]] | None, SpeakerKinds]:
    """Prepare dialogues and histories for a model: every speaker has one name.

    Args:
        dialogues: Lists of `{"speaker", "text"}`. Without `histories` they are one input,
            in order of time; with them, each dialogue is one.
        histories: For each dialogue, its speakers' earlier utterances.
        known: The persons that the model knows.
        speakers: See [`speaker_kinds`]; or, with `histories`, a decision each dialogue.

    Returns:
        Dialogues, histories, and which speakers are roles, for dialogues that follow one
        another.
    """
    index = known if isinstance(known, KnownNames) else known_names(tuple(known))
    if histories is None:
        every = dict.fromkeys(turn_speaker(turn, i) for turns in dialogues for i, turn in enumerate(turns))
        names = SpeakerNames(index, _one_decision(speakers, 0), every)
        return [names.turns(turns) for turns in dialogues], None, names.kinds
    renamed, earlier = [], []
    for number, (turns, history) in enumerate(zip(dialogues, histories, strict=True)):
        speaking = dict.fromkeys(turn_speaker(turn, i) for i, turn in enumerate(turns))
        names = SpeakerNames(index, _one_decision(speakers, number), speaking, history or ())
        earlier.append(names.utterances(history))
        renamed.append(names.turns(turns))
    return renamed, earlier, SpeakerKinds()


def _one_decision(speakers: Speakers | Sequence[SpeakerKinds], dialogue: int) -> Speakers:
    if isinstance(speakers, (str, SpeakerKinds)):
        return speakers
    decision = speakers[dialogue] if speakers and isinstance(speakers[0], SpeakerKinds) else speakers
    return decision  # type: ignore[return-value]
