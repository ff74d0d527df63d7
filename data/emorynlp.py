"""EmoryNLP emotion detection (Zahiri & Choi 2018), the full corpus in its official JSON layout."""

import json
import re
from pathlib import Path
from typing import Any

# ruff: noqa: F401
# A loading script (datasets 3) finds only the siblings that it imports itself, on lines without a comment: those that
# its siblings need are imported here too.
from .conversations import ConversationBuilder, by_label
from .files import decode
from .history import SCOPES
from .schema import EMORYNLP_LABELS, DataFormatError, Dialogue, Turn
from .speakers import SPEAKERS_FILE

_ORDER = ("Neutral", "Joyful", "Scared", "Mad", "Peaceful", "Powerful", "Sad")


class EmoryNLP(ConversationBuilder):
    """The full corpus: 12,606 utterances in 897 scenes of Friends, seasons 1 to 4."""

    corpus = "emorynlp-full"
    labels = EMORYNLP_LABELS
    files = {
        "train": "emotion-detection-trn.json",
        "validation": "emotion-detection-dev.json",
        "test": "emotion-detection-tst.json",
    }
    url = "https://raw.githubusercontent.com/emorynlp/emotion-detection/master/json/"
    label_counts = {
        "train": by_label(_ORDER, 3034, 2184, 1285, 1076, 900, 784, 671),
        "validation": by_label(_ORDER, 393, 289, 178, 143, 132, 134, 75),
        "test": by_label(_ORDER, 349, 282, 182, 113, 159, 145, 98),
    }
    sizes = {"train": (713, 9934), "validation": (99, 1344), "test": (85, 1328)}
    description = "Emotions of Friends transcripts: every utterance of 97 episodes, seven emotions."
    homepage = "https://github.com/emorynlp/emotion-detection"
    licence = "Apache-2.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        try:
            scenes = [
                scene for episode in json.loads(decode(path.read_bytes(), path.name))["episodes"] for scene in episode["scenes"]
            ]
        except json.JSONDecodeError as error:
            raise DataFormatError(
                f"{path.name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}); download it again."
            ) from error
        except (KeyError, TypeError) as error:
            raise DataFormatError(f"{path.name}: not the official layout ({error!r}); download it again.") from error
        return [_scene(path, split, scene) for scene in scenes]


def _scene(path: Path, split: str, scene: dict[str, Any]) -> Dialogue:
    place = f"{path.name}, scene {scene.get('scene_id')!r}"
    try:
        match = re.fullmatch(r"s(\d+)_e(\d+)_c(\d+)", scene["scene_id"])
        if match is None:
            raise DataFormatError(f"{place}, field 'scene_id': expected an id like 's01_e02_c03'.")
        turns = []
        for utterance in scene["utterances"]:
            place = f"{path.name}, utterance {utterance.get('utterance_id')!r}"
            if not utterance["speakers"]:
                raise DataFormatError(f"{place}, field 'speakers': nobody speaks it; write at least '#ALL#'.")
            turns.append(Turn(tuple(utterance["speakers"]), utterance["transcript"], utterance["emotion"]))
    except KeyError as error:
        raise DataFormatError(f"{place}: no field {error}; download the file again.") from error
    return Dialogue(scene["scene_id"], split, tuple(map(int, match.groups())), turns)
