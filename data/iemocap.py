"""IEMOCAP (Busso et al. 2008): the texts of its acted conversations of two people."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..dialogue.tables.rows import Dialogue, Turn
from ..errors import DataFormatError
from ..files.text import clean, short
from .conversations import ConversationBuilder, by_label
from .releases import lines_of
from .schema import IEMOCAP_4_LABELS, IEMOCAP_LABELS

_TRAINING_SESSIONS, _TEST_SESSION = (1, 2, 3, 4), 5
_HELD_OUT = 10  # every tenth training dialogue is for validation
_TEXTS, _EMOTIONS = "transcriptions", "EmoEvaluation"
_DIALOGUE = re.compile(r"Ses0([1-5])[FM]_\w+")
# The first F or M is whose face was recorded, the second one who speaks.
_TURN = re.compile(r"(Ses0[1-5][FM]_\w+)_([FM])(XX)?\d+")
_SPOKEN = re.compile(r"(\S+)\s*\[\s*(\d+\.?\d*)\s*-\s*\d+\.?\d*\s*\]\s*:?(.*)")
_RATED = re.compile(r"\[[^\]]*\]\s+(\S+)\s+(\S+)(\s+\[.*)?\s*")
# The majority votes in the release. None stands for those that no label set has: rare
# emotions, and `xxx`, where the annotators do not agree.
_NAMES: dict[str, str | None] = {
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
    "hap": "happy",
    "neu": "neutral",
    "sad": "sad",
    **dict.fromkeys(("dis", "fea", "oth", "sur", "xxx")),
}


class _Line(NamedTuple):
    """A turn's line in a transcription: number, seconds to its start, and text."""

    number: int
    start: float
    text: str


class IEMOCAP(ConversationBuilder):
    """10,039 turns in 151 dialogues; 7,380 of the turns have one of six labels.

    Turns with another label, and those whose annotators do not agree, stay turns without
    a label. Session 5 is the test set, as in the field. Of sessions 1 to 4, every tenth
    dialogue in order of the ids, from the first on, is for validation (12 of 120). The
    ten speakers are `Ses01_F`, `Ses01_M` and so on.

    The field's papers count 7,433 labelled turns: the feature files that they share have
    53 turns more of `happy` (648, not 595) than the votes in the release.
    """

    corpus = "iemocap"
    labels = IEMOCAP_LABELS
    episode_parts = 1  # the session: each has two speakers of its own
    release = "IEMOCAP_full_release"
    layout = (
        "Session1 to Session5, each with dialog/transcriptions/Ses*.txt and dialog/EmoEvaluation/Ses*.txt"
    )
    # By session: dialogues, turns.
    session_sizes: ClassVar = {1: (28, 1819), 2: (30, 1811), 3: (32, 2136), 4: (30, 2103), 5: (31, 2170)}
    # Of the release, and of the feature files that the field shares.
    published_labels: ClassVar = (
        by_label(IEMOCAP_LABELS, 595, 1084, 1708, 1103, 1041, 1849),
        by_label(IEMOCAP_LABELS, 648, 1084, 1708, 1103, 1041, 1849),
    )
    description = "IEMOCAP: emotions of acted conversations (text), six labels."
    homepage = "https://sail.usc.edu/iemocap/iemocap_release.htm"
    licence = "IEMOCAP release form (research only)"

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return any(_session(folder, session).is_dir() for session in (*_TRAINING_SESSIONS, _TEST_SESSION))

    @classmethod
    def find_files(cls, data_dir: Path) -> dict[str, Path]:
        sessions = (*_TRAINING_SESSIONS, _TEST_SESSION)
        missing = [
            f"{folder.relative_to(data_dir).as_posix()}/Ses*.txt"
            for session in sessions
            for folder in (_session(data_dir, session) / name for name in (_TEXTS, _EMOTIONS))
            if not _files(folder)
        ]
        if missing:
            raise DataFormatError(
                f"{data_dir} lacks {', '.join(missing)}. It must hold {cls.layout}; get the release from "
                f"{cls.homepage}."
            )
        return dict.fromkeys(("train", "validation", "test"), data_dir)

    @classmethod
    def source_files(cls, path: Path, split: str) -> list[Path]:
        folders = (
            _session(path, session) / name for session in _sessions(split) for name in (_TEXTS, _EMOTIONS)
        )
        return [file for folder in folders for file in _files(folder).values()]

    @classmethod
    def read(cls, path: Path, split: str) -> list[Dialogue]:
        found = [
            (session, dialogue_id)
            for session in _sessions(split)
            for dialogue_id in _dialogues_of(path, session)
        ]
        if split != "test":
            held_out = split == "validation"
            found = [item for index, item in enumerate(found) if (index % _HELD_OUT == 0) is held_out]
        return [
            Dialogue(
                dialogue_id, split, (session, dialogue_id), cls._turns(_session(path, session), dialogue_id)
            )
            for session, dialogue_id in found
        ]

    @classmethod
    def _turns(cls, session: Path, dialogue_id: str) -> list[Turn]:
        """Read a dialogue's turns, in order of the seconds at which they begin."""
        texts, emotions = (session / folder / f"{dialogue_id}.txt" for folder in (_TEXTS, _EMOTIONS))
        spoken, votes = _spoken(texts, dialogue_id), _votes(emotions, dialogue_id)
        for turn_id, (number, _) in votes.items():
            if turn_id not in spoken:
                raise DataFormatError(
                    f"{_name(emotions)}, line {number}: {turn_id} has no line in {_name(texts)}; "
                    "get both files again."
                )
        turns = []
        for turn_id, line in sorted(spoken.items(), key=lambda item: item[1].start):
            if turn_id not in votes:
                raise DataFormatError(
                    f"{_name(texts)}, line {line.number}: {turn_id} has no emotion in {_name(emotions)}; "
                    "get both files again."
                )
            speaker = f"{dialogue_id[:5]}_{turn_id.removeprefix(dialogue_id)[1]}"
            turns.append(Turn((speaker,), line.text, cls._label(votes[turn_id][1])))
        return turns

    @classmethod
    def _label(cls, vote: str) -> str | None:
        """The label of a majority vote."""
        return _NAMES[vote]

    @classmethod
    def _verify(cls, dialogues: list[Dialogue]) -> None:
        cls._check_counts("in all", dialogues, (151, 10_039), *cls.published_labels)
        for session, size in cls.session_sizes.items():
            part = [dialogue for dialogue in dialogues if dialogue.order[0] == session]
            cls._check_counts(f"session {session}", part, size)


class IEMOCAP4(IEMOCAP):
    """The same dialogues with four labels: 5,531 turns have one.

    `excited` counts as `happy`, and frustrated turns have no label.
    """

    corpus = "iemocap-4"
    labels = IEMOCAP_4_LABELS
    published_labels: ClassVar = (
        by_label(IEMOCAP_4_LABELS, 1103, 595 + 1041, 1084, 1708),
        by_label(IEMOCAP_4_LABELS, 1103, 648 + 1041, 1084, 1708),
    )
    description = "IEMOCAP: emotions of acted conversations (text), four labels."

    @classmethod
    def _label(cls, vote: str) -> str | None:
        name = _NAMES["hap" if vote == "exc" else vote]
        return name if name in cls.labels else None


def _sessions(split: str) -> tuple[int, ...]:
    return (_TEST_SESSION,) if split == "test" else _TRAINING_SESSIONS


def _session(root: Path, session: int) -> Path:
    return root / f"Session{session}" / "dialog"


def _files(folder: Path) -> dict[str, Path]:
    """The folder's files by dialogue; macOS's `._` files are not among them."""
    return {path.stem: path for path in sorted(folder.glob("Ses*.txt"))}


def _name(path: Path) -> str:
    """A file's name with its session, for messages: both folders have the same names."""
    return "/".join(path.parts[-4:])


def _dialogues_of(root: Path, session: int) -> Iterable[str]:
    """The ids of a session's dialogues, in order; each must have both files."""
    texts, emotions = (_files(_session(root, session) / folder) for folder in (_TEXTS, _EMOTIONS))
    for here, there, folder in ((texts, emotions, _EMOTIONS), (emotions, texts, _TEXTS)):
        for dialogue_id, file in here.items():
            match = _DIALOGUE.fullmatch(dialogue_id)
            if match is None or int(match[1]) != session:
                raise DataFormatError(
                    f"{_name(file)}: a file of Session{session} has a name like Ses0{session}F_impro01.txt; "
                    "move it to its own session's folder."
                )
            if dialogue_id not in there:
                raise DataFormatError(f"{_name(file)}: {folder} has no file of that name; get it again.")
    return texts


def _turn_id(location: str, turn_id: str, dialogue_id: str) -> re.Match[str]:
    match = _TURN.fullmatch(turn_id)
    if match is None or match[1] != dialogue_id:
        raise DataFormatError(
            f"{location}: {short(turn_id)} is not a turn of {dialogue_id}, like {dialogue_id}_F000; get the "
            "file again."
        )
    return match


def _spoken(path: Path, dialogue_id: str) -> dict[str, _Line]:
    """Read a transcription: the lines by turn, without those that are no turns.

    No turns are lines without an id (`M: Yeah.`), and ids with `XX`: the release has
    neither a recording nor an emotion of them.
    """
    lines: dict[str, _Line] = {}
    for number, line in lines_of(path.read_bytes(), _name(path)):
        if not line.startswith("Ses"):
            continue
        location = f"{_name(path)}, line {number}"
        match = _SPOKEN.fullmatch(line)
        if match is None:
            raise DataFormatError(
                f"{location}: {short(line)} is not a turn like '{dialogue_id}_F000 [006.2901-008.2357]: "
                "Excuse me.'; get the file again."
            )
        turn_id = match[1]
        if _turn_id(location, turn_id, dialogue_id)[3]:
            continue
        if turn_id in lines:
            raise DataFormatError(
                f"{location}: {turn_id} is in line {lines[turn_id].number} already; get the file again."
            )
        lines[turn_id] = _Line(number, float(match[2]), clean(match[3]).strip())
    if not lines:
        raise DataFormatError(f"{_name(path)}: the file holds no turn; get it again.")
    return lines


def _votes(path: Path, dialogue_id: str) -> dict[str, tuple[int, str]]:
    """Read an evaluation: the line number and the majority vote of each turn."""
    votes: dict[str, tuple[int, str]] = {}
    for number, line in lines_of(path.read_bytes(), _name(path)):
        if not line.startswith("["):  # the header, and the votes of each annotator
            continue
        location = f"{_name(path)}, line {number}"
        match = _RATED.fullmatch(line)
        if match is None or match[2] not in _NAMES:
            raise DataFormatError(
                f"{location}: {short(line)} is not a turn, an emotion ({', '.join(_NAMES)}) and its values, "
                f"like '[6.2901 - 8.2357] {dialogue_id}_F000 neu [2.5000, 2.5000, 2.5000]'; get the file "
                "again."
            )
        _turn_id(location, match[1], dialogue_id)
        if match[1] in votes:
            raise DataFormatError(
                f"{location}: {match[1]} is in line {votes[match[1]][0]} already; get the file again."
            )
        votes[match[1]] = (number, match[2])
    return votes
