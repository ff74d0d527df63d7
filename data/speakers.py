"""Global Speaker Identity: one id per person for the whole corpus."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .schema import DataFormatError, Dialogue

SPEAKERS_FILE = "speakers.json"
# Words of which the names of roles and crowds are made. A name counts as a role only if all its words stand here, so
# that `Casting Director No. 1` is one while `Nurse Sizemore` and `Sarah Singer` are persons.
_ROLE_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        actor actress adult agent air airline all amateur anchorwoman announcement announcer another artist assistant
        attendant audience bank barber bartender bass bellboy best big both boy bride bully bunny buyer cabbie caller
        cameraman captain cashier casting chef child children clerk clinic co-star coach commercial conductor cook cop
        counter croupier crowd customer date dealer delivery desk detective director doctor doorman dressmaker driver
        drunk drunken elderly employee everybody everyone extra father female fireman flight friend front gambler
        gentleman girl grandfather grandmother groom group guard guest guide guy gym he head hitchhiker hold host
        hostage hostess hotel housekeeper husband hypnosis instructor intercom interviewer janitor judge kid kitchen
        lady landlord lawyer leader lecturer librarian little loud machine maid male man manager men message minister
        mother narrator neighbor neighbour nobody nun nurse of officer old older on operator others owner paleontologist
        paramedic passenger passerby patient person photographer pilot planner plumber policeman policewoman presenter
        priest producer professor quartet radio receptionist referee reporter saleslady salesman saleswoman scientist
        secretary security she singer sleep soldier somebody someone soothing speaker spokesman spokeswoman stage
        steward stewardess store stranger student supervisor tailor tape tattoo teacher technician teen teenager
        telephone the theater they ticket together tour train tv unknown vendor voice volunteer waiter waitress wedding
        wife witness woman women worker young
        """,
    )
)
# The other side of a chat is another person in every chat.
_CHAT_ROLES = frozenset(("assistant", "bot", "human", "system", "user"))
_ARTICLE = re.compile(r"(the|a|an|another|some|her|his|their)[\s-]", re.IGNORECASE)
_NUMBER = re.compile(r"no\.?|number|\d+(st|nd|rd|th)?\.?")


def is_role(name: str) -> bool:
    """Whether `name` is a role (`The Waiter`, `Man 2`, `1st Customer`) or a crowd (`#ALL#`, `Both`) rather than one person.

    The rule: a leading `#`; an article or `Another`, `Her`, ... in front; role nouns only, with or without a number;
    or the role of a chat (`user`, `assistant`).
    """
    folded = name.strip().casefold()
    if folded.startswith("#") or folded in _CHAT_ROLES or _ARTICLE.match(folded):
        return True
    words = [word for word in re.split(r"[\s/#]+", folded) if word and not _NUMBER.fullmatch(word)]
    return bool(words) and all(word in _ROLE_WORDS or word.removesuffix("s") in _ROLE_WORDS for word in words)


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

    def name_of(self, number: int) -> str | None:
        """The name of an id; None for 0, the unknown speaker. IndexError for an id that was never given."""
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
        """Write the registry to `path`, or as `speakers.json` into the folder `path`; returns the file."""
        file = _registry_file(path)
        document = {"version": 1, "speakers": list(self._ids)}
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return file

    @classmethod
    def load(cls, path: str | Path) -> "SpeakerRegistry":
        """Read the file that `save` wrote to `path`, or to the folder `path`."""
        file = _registry_file(path)
        try:
            names = json.loads(file.read_text("utf-8"))["speakers"]
            if not isinstance(names, list) or len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
                raise ValueError("'speakers' is no list of different names")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"{file}: no speaker registry ({error}); copy it from the training run.") from error
        return cls(names)


def _registry_file(path: str | Path) -> Path:
    return Path(path) / SPEAKERS_FILE if Path(path).is_dir() else Path(path)
