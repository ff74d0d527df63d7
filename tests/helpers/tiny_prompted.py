"""A prompted model on the tiny LLaMA, and a corpus with labels that it knows."""

from pathlib import Path
from typing import Any

import torch
from tiny_store import TEST, TRAIN, VALIDATION, corpus

from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet

WORDS = {
    "Joyful": "a",
    "Mad": "b",
    "Neutral": "c",
    "Peaceful": "d",
    "Powerful": "e",
    "Sad": "f",
    "Scared": "g",
}
LETTERS = sorted(WORDS.values())


def load(folder: Path, validation: Any = VALIDATION, test: Any = TEST, train: Any = TRAIN) -> Any:
    """Load the small corpus with letters as emotions."""
    relabelled = (
        [
            (name, [(speaker, text, WORDS[emotion]) for speaker, text, emotion in turns])
            for name, turns in dialogues
        ]
        for dialogues in (train, validation, test)
    )
    return corpus(folder, *relabelled, labels=LETTERS)


def prompted(decoder: Path, settings: PromptSettings, **fields: Any) -> PromptedEmoNet:
    """Build a model with weights so large that all of a prompt changes the scores."""
    model = PromptedEmoNet.from_backbone(str(decoder), LETTERS, settings, **fields)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return model
