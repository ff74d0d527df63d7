"""A checkpoint, in the engine that is to run it."""

from pathlib import Path
from typing import Any

from ..language.lora import is_adapter, load_adapter
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor

RECORD_FILE = "onnx.json"  # marks a folder of `export_onnx`


def load_engine(checkpoint: str | Path, engine: str = "torch") -> tuple[Any, EmoNetProcessor]:
    """The model, or the exported graph in its place, and its processor.

    Args:
        checkpoint: A run folder, a folder of `save_adapter`, or a Hub id; for `onnx` a folder that `export_onnx` wrote.
    """
    if engine == "onnx":
        from .onnx_engine import OnnxEmoNet

        return OnnxEmoNet.from_folder(checkpoint), EmoNetProcessor.from_pretrained(checkpoint)
    if is_adapter(checkpoint):
        model = load_adapter(checkpoint)
        return model, model.processor
    return EmoNetForSequenceClassification.from_pretrained(checkpoint), EmoNetProcessor.from_pretrained(checkpoint)
