"""OnnxEmoNet: an exported model in the place of the PyTorch one."""

import json
from pathlib import Path
from typing import Any

import torch

from ..configuration_emonet import EmoNetConfig
from ..digests import file_digest
from ..errors import EmoNetError
from ..modeling_emonet import EmoNetOutput
from .load import RECORD_FILE
from .onnx_export import config_digest


class OnnxEmoNet:
    """An ONNX graph that is called as the model is, for `predict_logits` and `predict_dialogues`.

    Attributes:
        config: The model's configuration.
    """

    device = torch.device("cpu")

    def __init__(self, config: EmoNetConfig, session: Any):
        self.config = config
        self.session = session
        self.inputs = [each.name for each in session.get_inputs()]

    @classmethod
    def from_folder(cls, folder: str | Path, threads: int | None = None) -> "OnnxEmoNet":
        """Load what `export_onnx` wrote.

        Args:
            threads: For the products inside the graph; by default as many as PyTorch uses.

        Raises:
            EmoNetError: where the runtime or a file is missing, or a file is not the one that was exported.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise EmoNetError("onnxruntime is not installed: pip install 'emonet[onnx]'.") from error
        folder = Path(folder)
        again = f"Export the model again: emonet export --model RUN --output {folder}."
        if not (folder / RECORD_FILE).is_file():
            raise EmoNetError(f"{folder} has no {RECORD_FILE}: it is no exported model. {again}")
        record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
        path = folder / record["file"]
        if not path.is_file():
            raise EmoNetError(f"{path} is missing. {again}")
        if file_digest(path) != record["sha256"]:
            raise EmoNetError(f"{path} is not the file that was exported: it is incomplete or was changed. {again}")
        config = EmoNetConfig.from_pretrained(folder)
        if config_digest(config) != record["config"]:
            raise EmoNetError(f"{folder / 'config.json'} was changed since {path.name} was exported. {again}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        return cls(config, onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))

    def eval(self) -> "OnnxEmoNet":
        """A graph has no other mode."""
        return self

    def __call__(self, **batch: torch.Tensor) -> EmoNetOutput:
        """A batch of `EmoNetProcessor.collate` → logits (B, T, C)."""
        if "turn_embeds" in batch or "memory_embeds" in batch:
            raise EmoNetError("An exported model reads tokens: it takes no turn_embeds or memory_embeds.")
        (logits,) = self.session.run(["logits"], {name: batch[name].numpy() for name in self.inputs})
        return EmoNetOutput(logits=torch.from_numpy(logits))
