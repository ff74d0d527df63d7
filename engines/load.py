"""A checkpoint, in the engine that is to run it."""

from pathlib import Path
from typing import Any

import torch

from ..errors import EmoNetError, loading
from ..language.lora import is_adapter, load_adapter
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor

RECORD_FILE = "onnx.json"  # marks a folder of `export_onnx`


def load_engine(checkpoint: str | Path, engine: str = "torch") -> tuple[Any, EmoNetProcessor]:
    """The model, or the exported graph in its place, and its processor.

    Args:
        checkpoint: A run folder, a folder of `save_adapter`, or a Hub id; for `onnx` a folder that `export_onnx` wrote.

    Raises:
        EmoNetError: for what is no checkpoint, or one that is incomplete or damaged.
    """
    with loading(checkpoint):
        if engine == "onnx":
            from .onnx_engine import OnnxEmoNet

            return OnnxEmoNet.from_folder(checkpoint), EmoNetProcessor.from_pretrained(checkpoint)
        if is_adapter(checkpoint):
            model = load_adapter(checkpoint)
            return model, model.processor
        return EmoNetForSequenceClassification.from_pretrained(checkpoint), EmoNetProcessor.from_pretrained(checkpoint)


def computing_in(model: Any, dtype: str | None) -> Any:
    """The model as it computes in a type of that name; None leaves it as it is.

    Raises:
        EmoNetError: for an exported graph, whose type was chosen when it was exported.
    """
    if dtype is None:
        return model
    if not isinstance(model, torch.nn.Module):
        raise EmoNetError("--dtype is for the torch engine: an ONNX graph computes as it was exported (float32, or --int8).")
    return model.to(getattr(torch, dtype))
