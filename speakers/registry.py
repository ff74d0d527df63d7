"""Give each person one id for the whole corpus (global speaker identity)."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..dialogue.names import AUTO, KnownNames, SpeakerKinds
from ..dialogue.tables.rows import Dialogue
from ..errors import DataFormatError
from ..files.guard import read_json

SPEAKERS_FILE = "speakers.json"


class SpeakerRegistry:
    """Names of known persons and their global ids; id 0 is the unknown speaker.

    Ids follow the first appearance among the training turns. Roles, and persons of
    validation or test alone, are the unknown speaker: no id of theirs would be trained.
    Their histories still go by identity.

    Args:
        names: The persons, in order of their ids.
    """

    def __init__(self, names: Iterable[str] = ()):
        self._ids: dict[str, int] = {}
        self._known: KnownNames | None = None  # their index, until another one is added
        for name in names:
            self.add(name)

    @classmethod
    def from_dialogues(cls, dialogues: Iterable[Dialogue], kinds: SpeakerKinds = AUTO) -> "SpeakerRegistry":
        """Build the registry of a corpus's training dialogues, given in order of time."""
        turns = (turn for dialogue in dialogues if dialogue.split == "train" for turn in dialogue.turns)
        return cls(turn.speakers[0] for turn in turns if not kinds.is_role(turn.speakers[0]))

    def add(self, name: str) -> int:
        """Return the id of `name`; an unknown name gets a new one."""
        self._known = None
        return self._ids.setdefault(name, len(self._ids) + 1)

    def id_of(self, name: str) -> int:
        """Return the id of `name` in any unambiguous spelling, 0 if it is unknown."""
        if self._known is None:
            self._known = KnownNames(self._ids)
        return self._ids.get(self._known.find(name) or "", 0)

    def name_of(self, speaker_id: int) -> str | None:
        """Return the name of an id; None for 0, the unknown speaker.

        Raises:
            IndexError: If no speaker has the id.
        """
        if not 0 <= speaker_id < len(self):
            raise IndexError(f"No speaker has the id {speaker_id}; ids go up to {len(self) - 1}.")
        return [None, *self._ids][speaker_id]

    def ids(self) -> dict[str, int]:
        """Return all names with their ids."""
        return dict(self._ids)

    def __len__(self) -> int:
        """Return the number of ids: the known persons and the unknown speaker."""
        return len(self._ids) + 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def save(self, path: str | Path) -> Path:
        """Write the registry to a file, or into a folder as `speakers.json`.

        Args:
            path: The file or the folder.

        Returns:
            The file.
        """
        file = _registry_file(path)
        document = {"version": 1, "speakers": list(self._ids)}
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return file

    @classmethod
    def load(cls, path: str | Path) -> "SpeakerRegistry":
        """Read the file that `save` wrote to a file or folder.

        Raises:
            DataFormatError: If the file is missing or is no registry.
        """
        file = _registry_file(path)
        try:
            names = read_json(file)["speakers"]
            if (
                not isinstance(names, list)
                or len(set(names)) != len(names)
                or not all(isinstance(name, str) for name in names)
            ):
                raise ValueError("'speakers' must be a list of different names")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFormatError(
                f"{file}: no speaker registry ({error}); copy it from the training run."
            ) from error
        return cls(names)


def _registry_file(path: str | Path) -> Path:
    return Path(path) / SPEAKERS_FILE if Path(path).is_dir() else Path(path)
