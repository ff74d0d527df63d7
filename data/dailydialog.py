"""DailyDialog (Li et al. 2017): written everyday conversations of two people."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ..dialogue.tables.rows import Dialogue, Turn
from ..errors import DataFormatError
from ..files.text import clean, short
from .conversations import ConversationBuilder, by_label
from .releases import lines_of
from .schema import DAILYDIALOG_LABELS, SPLITS

# Roles, not persons: the names are the same in all dialogues.
_SPEAKERS = ("Speaker 1", "Speaker 2")
_END = "__eou__"
_LARGEST = 2**26  # bytes of a file in a zip; the largest of the release has a tenth of that


class DailyDialog(ConversationBuilder):
    """102,979 turns in 13,118 dialogues, seven emotions; 83 % of the turns are neutral.

    The official splits. Speakers take turns, and the files do not name them: they are
    two roles of their dialogue. The field reports micro-averaged F1 without neutral,
    which therefore comes first.
    """

    corpus = "dailydialog"
    labels = DAILYDIALOG_LABELS
    release = "ijcnlp_dailydialog"
    layout = (
        "train.zip, validation.zip and test.zip, or the folders train, validation and test that are in them "
        "(dialogues_train.txt, dialogues_emotion_train.txt and so on)"
    )
    primary_metric = "micro_f1_no_neutral"
    sizes: ClassVar = {"train": (11_118, 87_170), "validation": (1_000, 8_069), "test": (1_000, 7_740)}
    published_labels: ClassVar = by_label(DAILYDIALOG_LABELS, 85_572, 1_022, 353, 174, 12_885, 1_150, 1_823)
    description = "DailyDialog: emotions of written everyday conversations."
    homepage = "http://yanran.li/dailydialog"
    licence = "CC BY-NC-SA 4.0"

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return (folder / "dialogues_text.txt").is_file() or any(_path_of(folder, split) for split in SPLITS)

    @classmethod
    def find_files(cls, data_dir: Path) -> dict[str, Path]:
        paths = {split: path for split in SPLITS if (path := _path_of(data_dir, split))}
        missing = [_missing(data_dir, split) for split in SPLITS if split not in paths]
        if missing:
            raise DataFormatError(
                f"{data_dir} lacks {', '.join(missing)}. It must hold {cls.layout}; dialogues_text.txt alone "
                f"does not say which split a dialogue belongs to. Get the files from {cls.homepage}."
            )
        return paths

    @classmethod
    def source_files(cls, path: Path, split: str) -> list[Path]:
        return [path / name for name in _names(split)] if path.is_dir() else [path]

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        text_name, label_name = _names(split)
        contents = _contents(path, (text_name, label_name))
        texts, labels = (lines_of(contents[name], f"{path.name}/{name}") for name in (text_name, label_name))
        if len(texts) != len(labels):
            raise DataFormatError(
                f"{path.name}: {text_name} has {len(texts)} dialogues and {label_name} {len(labels)} lines; "
                "they must have a line for each dialogue. Get both files again."
            )
        dialogues = []
        for (number, text), (_, emotions) in zip(texts, labels, strict=True):
            utterances = _utterances(text, f"{path.name}/{text_name}, line {number}")
            names = _emotions(emotions, f"{path.name}/{label_name}, line {number}")
            if len(utterances) != len(names):
                raise DataFormatError(
                    f"{path.name}/{text_name}, line {number}: {len(utterances)} utterances, but {len(names)} "
                    f"emotions in the same line of {label_name}; get both files again."
                )
            turns = [
                Turn((_SPEAKERS[index % 2],), clean(utterance).strip(), name)
                for index, (utterance, name) in enumerate(zip(utterances, names, strict=True))
            ]
            index = number - 1
            dialogues.append(Dialogue(f"{split}_{index}", split, (SPLITS.index(split), index), turns))
        return dialogues

    @classmethod
    def _verify(cls, dialogues: list[Dialogue]) -> None:
        super()._verify(dialogues)
        cls._check_counts("in all", dialogues, (13_118, 102_979), cls.published_labels)


def _names(split: str) -> tuple[str, str]:
    return f"dialogues_{split}.txt", f"dialogues_emotion_{split}.txt"


def _path_of(folder: Path, split: str) -> Path | None:
    """The folder of a split's files, or else their zip."""
    for candidate in (folder / split, folder / split / split, folder):
        if all((candidate / name).is_file() for name in _names(split)):
            return candidate
    archive = folder / f"{split}.zip"
    return archive if archive.is_file() else None


def _missing(folder: Path, split: str) -> str:
    """Name what a split lacks: its zip, or one of the two files in its folder."""
    lacking = [name for name in _names(split) if not (folder / split / name).is_file()]
    return f"{split}.zip" if len(lacking) > 1 else f"{split}/{lacking[0]}"


def _contents(path: Path, names: tuple[str, str]) -> dict[str, bytes]:
    """Read the files from a folder or a zip."""
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    try:
        with zipfile.ZipFile(path) as archive:
            # macOS adds `__MACOSX/._dialogues_train.txt`, which has another name.
            members = {PurePosixPath(member.filename).name: member for member in archive.infolist()}
            missing = [name for name in names if name not in members]
            if missing:
                raise DataFormatError(f"{path.name} lacks {', '.join(missing)}; get the zip again.")
            for name in names:
                if members[name].file_size > _LARGEST:
                    raise DataFormatError(
                        f"{path.name}/{name}: {members[name].file_size:,} bytes are more than the corpus "
                        "has; get the zip again."
                    )
            return {name: archive.read(members[name]) for name in names}
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise DataFormatError(f"{path.name}: cannot read the zip ({error}); get it again.") from error


def _utterances(line: str, location: str) -> list[str]:
    """Split a dialogue at the mark that ends each utterance."""
    *utterances, rest = line.split(_END)
    if rest.strip() or not utterances:
        raise DataFormatError(
            f"{location}: a dialogue ends with {_END}, this line with {short(rest.strip()[-40:])}; get the "
            "file again."
        )
    return utterances


def _emotions(line: str, location: str) -> list[str]:
    """The label names of a line of numbers."""
    numbers = {str(index): name for index, name in enumerate(DAILYDIALOG_LABELS)}
    for number in line.split():
        if number not in numbers:
            raise DataFormatError(
                f"{location}: {short(number)} is not an emotion; they are the numbers 0 to "
                f"{len(DAILYDIALOG_LABELS) - 1}. Get the file again."
            )
    return [numbers[number] for number in line.split()]
