"""A tiny model in use, as the page and the endpoint hold it."""

from typing import Any

from tiny import build, make_tokenizer

from emonet.serving.predictor import Predictor

SCRIPT = "Ann: great we won\nBob: leave me alone\nAnn: that is wonderful news\nCat: no\nBob: i hate this\nAnn: hello"


def tiny_predictor(preset: str = "emonet-thesis", family: str = "bert", **changes: Any) -> Predictor:
    """Untrained, with a memory of the corpus unless told otherwise."""
    model, processor = build(make_tokenizer(), preset, family, **{"speaker_memory": "corpus", **changes})
    return Predictor(model, processor, "tiny")


def save_tiny_model(folder: Any) -> Any:
    """A checkpoint folder of it."""
    predictor = tiny_predictor()
    predictor.model.processor = predictor.processor
    predictor.model.save_pretrained(folder)
    return folder
