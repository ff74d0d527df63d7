"""Global Speaker Identity: one id per person for the whole corpus."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..dialogue.names import is_role
from ..dialogue.rows import Dialogue
from ..errors import DataFormatError
from ..files.guard import read_json

SPEAKERS_FILE = "speakers.json"


class SpeakerRegistry:
    """Names of known persons and their global ids; id 0 is the unknown speaker.

    Ids follow first appearance in time among the training turns: who appears only in
    validation or test has never been trained, and neither has a role, so both are the
    unknown speaker. (Their histories still go by identity.)
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

    def name_of(self, number: int) -> str | None:
        """The name of an id; None for 0, the unknown speaker. IndexError for an id that
        was never given.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"no speaker has the id {number}; ids go up to {len(self) - 1}")
        return [None, *self._ids][number]

    def ids(self) -> dict[str, int]:
        """All names with their ids."""
        return dict(self._ids)

    def __len__(self) -> int:
        """Rows of an id table: the known persons and the unknown speaker."""
        return len(self._ids) + 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def save(self, path: str | Path) -> Path:
        """Write the registry to `path`, or as `speakers.json` into the folder `path`;
        returns the file.
        """
        file = _registry_file(path)
        document = {"version": 1, "speakers": list(self._ids)}
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return file

    @classmethod
    def load(cls, path: str | Path) -> "SpeakerRegistry":
        """Read the file that `save` wrote to `path`, or to the folder `path`."""
        file = _registry_file(path)
        try:
            names = read_json(file)["speakers"]
            if (
                not isinstance(names, list)
                or len(set(names)) != len(names)
                or not all(isinstance(name, str) for name in names)
            ):
                raise ValueError("'speakers' is no list of different names")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFormatError(
                f"{file}: no speaker registry ({error}); copy it from the training run."
            ) from error
        return cls(names)


def _registry_file(path: str | Path) -> Path:
    return Path(path) / SPEAKERS_FILE if Path(path).is_dir() else Path(path)
