"""Load a checkpoint in the engine that runs it."""

from pathlib import Path
from typing import Any

from ..adapters.four_bit import four_bits
from ..checkpoint.integrity import config_of
from ..errors import EmoNetError, loading
from ..modeling_emonet import EmoNetForSequenceClassification
from ..pretrained.models import built_in_path, is_built_in
from ..processing_emonet import EmoNetProcessor
from ..prompted.modeling import PromptedEmoNet

MODELS: dict[str, Any] = {
    model.config_class.model_type: model for model in (EmoNetForSequenceClassification, PromptedEmoNet)
}


def load_engine(checkpoint: str | Path, engine: str = "torch", load_in_4bit: bool = False) -> tuple[Any, Any]:
    """Load the model, or the exported graph in its place, and its processor.

    Args:
        checkpoint: A run folder, a folder of `save_adapter`, or a Hub id; for `onnx` a
            folder of `export_onnx`.
        engine: One of `ENGINES`.
        load_in_4bit: Load linear layers in 4 bits, where bitsandbytes runs.

    Raises:
        EmoNetError: for something else than a checkpoint, or a damaged one.
    """
    if load_in_4bit and engine != "torch":
        raise EmoNetError(f"--load-in-4bit is for the torch engine, not for {engine}.")
    checkpoint = built_in_path(str(checkpoint))
    with loading(checkpoint):
        if engine == "onnx":
            if is_built_in(checkpoint):
                name = Path(checkpoint).name
                raise EmoNetError(
                    f"{name} is not an exported model: emonet export --model {name} --output FOLDER, then "
                    "--engine onnx --model FOLDER."
                )
            from .onnx_engine import OnnxEmoNet

            return OnnxEmoNet.from_folder(checkpoint), EmoNetProcessor.from_pretrained(checkpoint)
        model_type = config_of(str(checkpoint)).model_type
        if model_type not in MODELS:
            raise EmoNetError(
                f"{checkpoint}: a model of the kind {model_type!r}, not a checkpoint of emonet; "
                "`emonet train` writes one."
            )
        model = MODELS[model_type].from_pretrained(
            checkpoint, verify=True, **(four_bits() if load_in_4bit else {})
        )
        return model, model.processor
