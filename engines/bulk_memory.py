"""Find what the persons of each chunk said before it, and under which names."""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..checkpoint.files import speakers_of
from ..checkpoint.integrity import config_of
from ..configuration_emonet import EmoNetConfig
from ..dialogue.names import SpeakerKinds, Speakers, refuse_unknown_persons, speaker_kinds
from ..dialogue.spellings import SpeakerNames
from ..errors import EmoNetError, loading
from ..files.guard import read_json
from .bulk_input import Chunk, Plan, read_chunk, turns_of

STARTS = "starts"  # of the chunks, in the folder of the copies


@dataclass(frozen=True)
class Start:
    """What a chunk needs of the rows before it.

    Attributes:
        names: The one name of each person of the chunk, by the name in the input.
        history: What these persons said last, by that one name, oldest first.
    """

    names: Mapping[str, str]
    history: Mapping[str, Sequence[str]]


class Starts:
    """The start of every chunk, in a folder that all workers see.

    With it a chunk gives the scores that it has when all rows are predicted in order,
    whatever its worker did before.

    Args:
        folder: Where to write them.
        kinds: Which speakers of the input are persons.
    """

    def __init__(self, folder: Path, kinds: SpeakerKinds):
        self.folder, self.kinds = folder, kinds

    def read(self, chunk: Chunk) -> Start:
        """Read the start of a chunk."""
        stored = read_json(self._path(chunk))
        return Start(stored["names"], stored["history"])

    def write(self, plan: Plan, missing: Sequence[Chunk], known: Mapping[str, int], window: int) -> None:
        """Read all rows in order, and write the starts of some chunks.

        In memory are the last utterances of each person.

        Args:
            plan: All chunks.
            missing: Those whose starts are written.
            known: The persons that the model knows.
            window: How many utterances of earlier dialogues a person remembers.

        Raises:
            EmoNetError: for a row that can't be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {chunk.index for chunk in missing}
        names = SpeakerNames(known, self.kinds)
        history: dict[str, deque[str]] = {}
        for chunk in plan.chunks[: max(wanted, default=-1) + 1]:
            names_here: dict[str, str] = {}
            history_here: dict[str, list[str]] = {}
            for name, one_name, text in self._utterances(plan, chunk, names):
                names_here[name] = one_name
                if window:
                    earlier = history.setdefault(one_name, deque(maxlen=window))
                    history_here.setdefault(one_name, list(earlier))
                    earlier.append(text)
            if chunk.index in wanted:
                self._path(chunk).write_text(json.dumps({"names": names_here, "history": history_here}))

    def _utterances(self, plan: Plan, chunk: Chunk, names: SpeakerNames) -> Iterator[tuple[str, str, str]]:
        """Yield name, one name and text of persons' turns, in the order of the talk."""
        for _, turns in turns_of(chunk, read_chunk(chunk, plan.schema)):
            for turn, named in zip(turns, names.turns(turns), strict=True):
                if not self.kinds.is_role(named["speaker"]):
                    yield turn["speaker"], named["speaker"], turn["text"]

    def _path(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.index:08d}.json"


def find_starts(
    checkpoint: Path, folder: Path, plan: Plan, missing: Sequence[Chunk], speakers: Speakers
) -> tuple[Starts, str]:
    """Decide who is a person, and find the starts of the chunks that are missing.

    Args:
        checkpoint: The model's folder.
        folder: Where to write the starts.
        plan: All chunks.
        missing: The chunks that are predicted.
        speakers: Who is a person, see [`speaker_kinds`].

    Returns:
        The starts, and a note on who was taken for a person.

    Raises:
        EmoNetError: for a person that the input does not have, and for a model that reads
            its own predictions of earlier dialogues.
    """
    with loading(str(checkpoint)):
        config, known = config_of(str(checkpoint)), speakers_of(str(checkpoint))
    kinds = speaker_kinds(plan.speakers, speakers, known)
    refuse_unknown_persons(kinds)
    remembers = config.speaker_memory == "corpus"
    if remembers and kinds.rule != "roles" and not isinstance(config, EmoNetConfig):
        raise EmoNetError(
            f"{checkpoint}: this model reads what it predicted for a person's earlier dialogues, which may "
            "be in a part of another worker. Leave out --engine to predict in one process, or add --speakers "
            "roles: nobody is then remembered from earlier dialogues."
        )
    starts = Starts(folder, replace(kinds, names=()))  # workers need no list of all names
    starts.write(plan, missing, known, config.memory_window if remembers else 0)
    return starts, kinds.note()
