"""Global Speaker Identity: one id per person for the whole corpus."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .schema import DataFormatError, Dialogue

SPEAKERS_FILE = "speakers.json"
_ROLES = (
    "man|woman|guy|girl|boy|kid|lady|gentleman|nurse|doctor|waiter|waitress|customer|bartender|receptionist|stranger|teacher|"
    "director|announcer|host|driver|cop|policeman|fireman|student|salesman|saleslady|clerk|guest|both|all|everyone|others"
)
_ROLE = re.compile(rf"(#.*|(the|a|an|another|some)\s.*|({_ROLES})s?(\s?#?\d+)?)", re.IGNORECASE)


def is_role(name: str) -> bool:
    """Whether `name` is a role (`The Waiter`, `Man 2`) or a crowd (`#ALL#`) rather than one person.

    The rule: a leading `#`, an article in front, or a bare role noun with or without a number.
    """
    return bool(_ROLE.fullmatch(name.strip()))


def identity(name: str, dialogue_id: str) -> str:
    """The key under which a speaker is the same: the name of a person; for a role, the role in this dialogue."""
    return f"{name}@{dialogue_id}" if is_role(name) else name


class SpeakerRegistry:
    """Names of known persons and their global ids; id 0 is the unknown speaker.

    Ids follow first appearance in time among the training turns: who appears only in validation or test has never been
    trained, and neither has a role, so both are the unknown speaker. (Their histories still go by identity.)
    """

    def __init__(self, names: Iterable[str] = ()):
        self._ids: dict[str, int] = {}
        for name in names:
            self.add(name)

    @classmethod
    def from_dialogues(cls, dialogues: Iterable[Dialogue]) -> "SpeakerRegistry":
        """The registry of a corpus's training dialogues, given in order of time."""
        turns = (turn for dialogue in dialogues if dialogue.split == "train" for turn in dialogue.turns)
        return cls(turn.speakers[0] for turn in turns if not is_role(turn.speakers[0]))

    def add(self, name: str) -> int:
        """The id of `name`, new if it is not known yet."""
        return self._ids.setdefault(name, len(self._ids) + 1)

    def id_of(self, name: str) -> int:
        """The id of `name`, 0 if unknown."""
        return self._ids.get(name, 0)

    def ids(self) -> dict[str, int]:
        """All names with their ids."""
        return dict(self._ids)

    def __len__(self) -> int:
        """Rows of an id table: the known persons and the unknown speaker."""
        return len(self._ids) + 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def save(self, folder: str | Path) -> Path:
        """Write `speakers.json` into `folder`."""
        path = Path(folder) / SPEAKERS_FILE
        document = {"version": 1, "speakers": list(self._ids)}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "SpeakerRegistry":
        """Read `speakers.json` from `folder`."""
        path = Path(folder) / SPEAKERS_FILE
        try:
            return cls(json.loads(path.read_text("utf-8"))["speakers"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"{path}: no speaker registry ({error}); copy it from the training run.") from error
