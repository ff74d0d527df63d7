"""EmoryNLP's subset aligned to video, in the CSV layout of the MELD repository."""

import ast
from pathlib import Path
from typing import ClassVar

from ..dialogue.tables.rows import Dialogue, Turn
from ..errors import DataFormatError
from ..files.csv_rows import read_csv_rows
from ..files.text import clean, short, whole_number
from .conversations import ConversationBuilder, by_label
from .schema import EMORYNLP_LABELS

_COLUMNS = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")
_ORDER = ("Neutral", "Joyful", "Scared", "Mad", "Peaceful", "Powerful", "Sad")


class EmoryNLPAligned(ConversationBuilder):
    """The aligned subset: 9,489 utterances in 827 scenes.

    Its dialogues and its test set differ from those of the full corpus.
    """

    corpus = "emorynlp-aligned"
    labels = EMORYNLP_LABELS
    episode_parts = 2  # season, episode
    files: ClassVar = {
        "train": "emorynlp_train_final.csv",
        "validation": "emorynlp_dev_final.csv",
        "test": "emorynlp_test_final.csv",
    }
    url = "https://raw.githubusercontent.com/declare-lab/MELD/master/data/emorynlp/"
    label_counts: ClassVar = {
        "train": by_label(_ORDER, 2485, 1677, 941, 785, 638, 551, 474),
        "validation": by_label(_ORDER, 322, 205, 127, 97, 82, 70, 51),
        "test": by_label(_ORDER, 288, 217, 116, 86, 111, 96, 70),
    }
    sizes: ClassVar = {"train": (659, 7551), "validation": (89, 954), "test": (79, 984)}
    description = "EmoryNLP's utterances that are aligned to video."
    homepage = "https://github.com/declare-lab/MELD"
    licence = "Apache-2.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        dialogues: dict[str, Dialogue] = {}
        for line, row in read_csv_rows(path, _COLUMNS):
            order = tuple(
                whole_number(path, line, row, column) for column in ("Season", "Episode", "Scene_ID")
            )
            scene = "s{:02d}_e{:02d}_c{:02d}".format(*order)  # an id as in the full corpus
            dialogue = dialogues.setdefault(scene, Dialogue(scene, split, order))
            dialogue.turns.append(Turn(_names(path, line, row["Speaker"]), row["Utterance"], row["Emotion"]))
        return list(dialogues.values())


def _names(path: Path, line: int, cell: str) -> tuple[str, ...]:
    try:
        names = ast.literal_eval(cell)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        names = None  # not a literal, or nested too deep to parse
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and clean(name).strip() for name in names)
    ):
        raise DataFormatError(
            f"{path.name}, line {line}, column Speaker: {short(cell)} is not a list like ['Monica Geller']."
        )
    return tuple(map(clean, names))
