"""A small corpus with three splits, and an embedder without weights."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emonet.data import load_conversations

TRAIN = [
    (
        "d1",
        [
            ("Ann", "the comet telescope is mine", "Joyful"),
            ("Bob", "nobody touches my sandwich", "Mad"),
            ("Ann", "i saw the comet again", "Joyful"),
            ("The Waiter", "your table is ready", "Neutral"),
        ],
    ),
    (
        "d2",
        [
            ("Cat", "o'hara said it's fine", "Neutral"),
            ("Ann", "the telescope broke", "Sad"),
            ("Bob", "sorry Ann", "Sad"),
        ],
    ),
]
VALIDATION = [("d3", [("Ann", "validation comet secret", "Scared"), ("Bob", "who ate my sandwich", "Mad")])]
TEST = [("d4", [("Bob", "test sandwich secret", "Powerful"), ("O'Hara", "i'm new here", "Peaceful")])]


class TinyEmbedder:
    """A bag of hashed words; `encoded` counts the texts."""

    def __init__(self, name: str = "tiny-1", size: int = 256):
        self.name, self.size, self.encoded = name, size, 0

    def __call__(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        self.encoded += len(texts)
        table = np.full((len(texts), self.size), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                table[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.size] += 1
        return table / np.linalg.norm(table, axis=1, keepdims=True)


def corpus(
    folder: Path,
    train: Any = TRAIN,
    validation: Any = VALIDATION,
    test: Any = TEST,
    labels: list[str] | None = None,
) -> Any:
    """Write the splits as files into `folder` and load them."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, dialogues in (("train", train), ("validation", validation), ("test", test)):
        lines = [
            json.dumps({"dialogue_id": name, "speaker": speaker, "text": text, "emotion": emotion})
            for name, turns in dialogues
            for speaker, text, emotion in turns
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return load_conversations(folder, cache_dir=folder / "cache", labels=labels)
