"""EmoryNLP emotion detection (Zahiri & Choi 2018): the full corpus, and the subset aligned to video."""

import ast
import json
import re
from pathlib import Path

from .conversations import ConversationBuilder
from .own import read_csv_rows
from .schema import EMORYNLP_LABELS, DataFormatError, Dialogue, Turn


def _counts(numbers: str) -> dict[str, int]:
    names = ("Neutral", "Joyful", "Scared", "Mad", "Peaceful", "Powerful", "Sad")
    return dict(zip(names, map(int, numbers.split()), strict=True))


class EmoryNLP(ConversationBuilder):
    """The full corpus in its official JSON layout: 12,606 utterances in 897 scenes of Friends, seasons 1 to 4."""

    corpus = "emorynlp-full"
    labels = EMORYNLP_LABELS
    files = {f"{split}": f"emotion-detection-{short}.json" for split, short in
             (("train", "trn"), ("validation", "dev"), ("test", "tst"))}  # fmt: skip
    url = "https://raw.githubusercontent.com/emorynlp/emotion-detection/master/json/"
    label_counts = {
        "train": _counts("3034 2184 1285 1076 900 784 671"),
        "validation": _counts("393 289 178 143 132 134 75"),
        "test": _counts("349 282 182 113 159 145 98"),
    }
    sizes = {"train": (713, 9934), "validation": (99, 1344), "test": (85, 1328)}
    description = "Emotions of Friends transcripts: every utterance of 97 episodes, seven emotions."
    homepage = "https://github.com/emorynlp/emotion-detection"
    licence = "Apache-2.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        try:
            episodes = json.loads(path.read_text("utf-8"))["episodes"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"{path.name}: not the official EmoryNLP JSON ({error}); download it again.") from error
        dialogues = []
        for episode in episodes:
            for scene in episode["scenes"]:
                order = tuple(int(number) for number in re.findall(r"\d+", scene["scene_id"]))
                turns = []
                for utterance in scene["utterances"]:
                    try:
                        turns.append(Turn(tuple(utterance["speakers"]), utterance["transcript"], utterance["emotion"]))
                    except KeyError as error:
                        raise DataFormatError(
                            f"{path.name}, {utterance.get('utterance_id', scene['scene_id'])}: no field {error}."
                        ) from error
                dialogues.append(Dialogue(scene["scene_id"], split, order, turns))
        return dialogues


class EmoryNLPAligned(ConversationBuilder):
    """The subset with video times (9,489 utterances): other dialogues and another test set than the full corpus."""

    corpus = "emorynlp-aligned"
    labels = EMORYNLP_LABELS
    files = {"train": "emorynlp_train_final.csv", "validation": "emorynlp_dev_final.csv", "test": "emorynlp_test_final.csv"}
    url = "https://raw.githubusercontent.com/declare-lab/MELD/master/data/emorynlp/"
    sizes = {"train": (659, 7551), "validation": (89, 954), "test": (79, 984)}
    description = "EmoryNLP's utterances that are aligned to video."
    homepage = "https://github.com/declare-lab/MELD"
    licence = "Apache-2.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        dialogues: dict[str, Dialogue] = {}
        columns = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")
        for line, row in read_csv_rows(path, columns):
            order = (int(row["Season"]), int(row["Episode"]), int(row["Scene_ID"]))
            scene = f"s{order[0]:02d}_e{order[1]:02d}_c{order[2]:02d}"
            try:
                speakers = tuple(str(name) for name in ast.literal_eval(row["Speaker"]))
            except (ValueError, SyntaxError) as error:
                raise DataFormatError(f"{path.name}, line {line}, Speaker: {row['Speaker']!r} is no list.") from error
            dialogue = dialogues.setdefault(scene, Dialogue(scene, split, order))
            dialogue.turns.append(Turn(speakers, row["Utterance"], row["Emotion"]))
        return list(dialogues.values())
