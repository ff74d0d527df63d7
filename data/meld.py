"""MELD (Poria et al. 2019): the texts of its multi-party dialogues of Friends."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ..dialogue.tables.rows import Dialogue, Turn
from ..errors import DataFormatError
from ..files.csv_rows import read_csv_rows
from ..files.text import count_c1, decode, decode_c1, short, whole_number
from .conversations import ConversationBuilder, by_label
from .schema import MELD_LABELS

_COLUMNS = (
    "Utterance",
    "Speaker",
    "Emotion",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
)


class MELD(ConversationBuilder):
    """13,708 utterances in 1,432 dialogues, seven emotions.

    Dialogues of an episode are ordered by the time at which their first turn starts.
    """

    corpus = "meld"
    labels = MELD_LABELS
    episode_parts = 2  # season, episode
    files: ClassVar = {
        "train": "train_sent_emo.csv",
        "validation": "dev_sent_emo.csv",
        "test": "test_sent_emo.csv",
    }
    url = "https://raw.githubusercontent.com/declare-lab/MELD/master/data/MELD/"
    label_counts: ClassVar = {
        "train": by_label(MELD_LABELS, 1109, 271, 268, 1743, 4710, 683, 1205),
        "validation": by_label(MELD_LABELS, 153, 22, 40, 163, 470, 111, 150),
        "test": by_label(MELD_LABELS, 345, 68, 50, 402, 1256, 208, 281),
    }
    sizes: ClassVar = {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)}
    description = "MELD: emotions of Friends dialogues (text)."
    homepage = "https://github.com/declare-lab/MELD"
    licence = "GPL-3.0"

    @classmethod
    def decoded_c1(cls, paths: Mapping[str, Path]) -> int:
        """Count the C1 characters: the files as first published have thousands."""
        return sum(count_c1(decode(path.read_bytes(), path.name)) for path in paths.values())

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        rows = read_csv_rows(path, _COLUMNS)
        known = {row["Speaker"] for _, row in rows}
        dialogues: dict[int, Dialogue] = {}
        for line, row in rows:
            if not row["Speaker"].strip():
                raise DataFormatError(
                    f"{path.name}, line {line}, column Speaker: the cell is empty; name the speaker."
                )
            number = whole_number(path, line, row, "Dialogue_ID")
            if number not in dialogues:
                season, episode = (whole_number(path, line, row, column) for column in ("Season", "Episode"))
                order = (season, episode, _seconds(path, line, row["StartTime"]), split, number)
                # Dialogue_ID starts again at 0 in each split.
                dialogues[number] = Dialogue(f"{split}_{number}", split, order)
            dialogues[number].turns.append(
                Turn(_names(row["Speaker"], known), decode_c1(row["Utterance"]), row["Emotion"])
            )
        return list(dialogues.values())


def _names(cell: str, known: set[str]) -> tuple[str, ...]:
    """Split `Ross and Joey` into two people if each of them also speaks alone."""
    names = cell.split(" and ")
    return tuple(names) if all(name in known for name in names) else (cell,)


def _seconds(path: Path, line: int, cell: str) -> float:
    """Parse `0:36:59,425` or `00:36:59,425` into seconds.

    The files mix both forms, which would sort wrongly as text.
    """
    match = re.fullmatch(r"(\d{1,6}):(\d{1,6}):(\d{1,6}),(\d{1,6})", cell.strip())
    if match is None:
        raise DataFormatError(
            f"{path.name}, line {line}, column StartTime: {short(cell)} is not a time like '00:16:16,059'."
        )
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
