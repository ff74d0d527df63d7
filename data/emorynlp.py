"""EmoryNLP (Zahiri & Choi 2018): the full corpus in its official JSON layout."""

import re
from pathlib import Path
from typing import Any, ClassVar

from ..dialogue.tables.rows import Dialogue, Turn
from ..errors import DataFormatError
from ..files.text import clean, decode, parse_json, short
from .conversations import ConversationBuilder, by_label
from .schema import EMORYNLP_LABELS

_ORDER = ("Neutral", "Joyful", "Scared", "Mad", "Peaceful", "Powerful", "Sad")


class EmoryNLP(ConversationBuilder):
    """The full corpus: 12,606 utterances in 897 scenes of Friends, seasons 1 to 4."""

    corpus = "emorynlp-full"
    labels = EMORYNLP_LABELS
    episode_parts = 2  # season, episode
    files: ClassVar = {
        "train": "emotion-detection-trn.json",
        "validation": "emotion-detection-dev.json",
        "test": "emotion-detection-tst.json",
    }
    url = "https://raw.githubusercontent.com/emorynlp/emotion-detection/master/json/"
    label_counts: ClassVar = {
        "train": by_label(_ORDER, 3034, 2184, 1285, 1076, 900, 784, 671),
        "validation": by_label(_ORDER, 393, 289, 178, 143, 132, 134, 75),
        "test": by_label(_ORDER, 349, 282, 182, 113, 159, 145, 98),
    }
    sizes: ClassVar = {"train": (713, 9934), "validation": (99, 1344), "test": (85, 1328)}
    description = "Emotions of Friends transcripts: all utterances of 97 episodes, seven emotions."
    homepage = "https://github.com/emorynlp/emotion-detection"
    licence = "Apache-2.0"

    @staticmethod
    def read(path: Path, split: str) -> list[Dialogue]:
        content = parse_json(decode(path.read_bytes(), path.name), path.name, "download it again")
        episodes = _field(content, "episodes", list, path.name)
        return [
            _scene(path, split, scene)
            for episode in episodes
            for scene in _field(episode, "scenes", list, path.name)
        ]


def _scene(path: Path, split: str, scene: Any) -> Dialogue:
    scene_id = _field(scene, "scene_id", str, path.name)
    location = f"{path.name}, scene {short(scene_id)}"
    match = re.fullmatch(r"s(\d{1,9})_e(\d{1,9})_c(\d{1,9})", scene_id)
    if match is None:
        raise DataFormatError(f"{location}, field 'scene_id': expected an id like 's01_e02_c03'.")
    turns = [_turn(path, utterance) for utterance in _field(scene, "utterances", list, location)]
    return Dialogue(scene_id, split, tuple(map(int, match.groups())), turns)


def _turn(path: Path, utterance: Any) -> Turn:
    utterance_id = utterance.get("utterance_id") if isinstance(utterance, dict) else None
    location = f"{path.name}, utterance {short(utterance_id)}"
    speakers = _field(utterance, "speakers", list, location)
    if not speakers or not all(isinstance(name, str) and clean(name).strip() for name in speakers):
        raise DataFormatError(
            f"{location}, field 'speakers': {short(speakers)} names nobody; write at least '#ALL#'."
        )
    text, emotion = (_field(utterance, name, str, location) for name in ("transcript", "emotion"))
    return Turn(tuple(map(clean, speakers)), clean(text), emotion)


def _field(part: Any, name: str, kind: type, location: str) -> Any:
    """Read a field of the official layout and check its type."""
    if not isinstance(part, dict) or name not in part:
        raise DataFormatError(f"{location}: no field {name!r}; download the file again.")
    if not isinstance(part[name], kind):
        raise DataFormatError(
            f"{location}, field {name!r}: expected {kind.__name__}, found {short(part[name])}; "
            "download the file again."
        )
    return part[name]
