"""A tiny model, as the page and the endpoint use it."""

from pathlib import Path
from typing import Any

from tiny import build, make_tokenizer

from emonet.serving.predictor import Predictor

LINES = [
    ("Ann", "great we won"),
    ("Bob", "leave me alone"),
    ("Ann", "that is wonderful news"),
    ("Cat", "no"),
    ("Bob", "i hate this"),
    ("Ann", "hello"),
]
SCRIPT = "\n".join(f"{speaker}: {text}" for speaker, text in LINES)


def tiny_predictor(preset: str = "emonet-thesis", family: str = "bert", **changes: Any) -> Predictor:
    """Return an untrained model, with a memory of the corpus by default."""
    model, processor = build(make_tokenizer(), preset, family, **{"speaker_memory": "corpus", **changes})
    return Predictor(model, processor, "tiny")


def save_tiny_model(folder: Path) -> Path:
    """Save it as a checkpoint folder."""
    predictor = tiny_predictor()
    predictor.model.processor = predictor.processor
    predictor.model.save_pretrained(folder)
    return folder
