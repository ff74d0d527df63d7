"""The schema of all corpora: features of the two views, label sets and splits."""

from typing import Any

import datasets

EMORYNLP_LABELS = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]
MELD_LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
# The field's order of IEMOCAP's six; of four, that of no single paper.
IEMOCAP_LABELS = ["happy", "sad", "neutral", "angry", "excited", "frustrated"]
IEMOCAP_4_LABELS = ["angry", "happy", "sad", "neutral"]
# In order of the official numbers, from 0. Number 0 is called "no emotion" there.
DAILYDIALOG_LABELS = ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"]
SPLITS = ("train", "validation", "test")

# datasets 3 has no List. Its Sequence of a plain feature is the same.
ListOf: Any = getattr(datasets, "List", datasets.Sequence)


def turn_features(labels: list[str]) -> dict[str, Any]:
    """Features of a turn inside the `dialogues` view."""
    return {
        "speaker": datasets.Value("string"),
        "speakers": ListOf(datasets.Value("string")),
        "speaker_id": datasets.Value("int32"),
        "text": datasets.Value("string"),
        "emotion": datasets.ClassLabel(names=labels),
        "utterance_index": datasets.Value("int64"),
        "speaker_history_index": ListOf(datasets.Value("int64")),
    }


def view_features(view: str, labels: list[str], episodes: bool = False) -> datasets.Features:
    """Features of a view: one row a turn (`utterances`) or a dialogue (`dialogues`).

    With `episodes`, a dialogue also names its episode.
    """
    if view == "dialogues":
        turns = turn_features(labels)
        nested = datasets.List(turns) if hasattr(datasets, "List") else [turns]
        episode = {"episode": datasets.Value("string")} if episodes else {}
        return datasets.Features({"dialogue_id": datasets.Value("string"), **episode, "turns": nested})
    return datasets.Features(
        {
            "dialogue_id": datasets.Value("string"),
            "turn": datasets.Value("int32"),
            **turn_features(labels),
            "speaker_history": ListOf(datasets.Value("string")),
        }
    )
