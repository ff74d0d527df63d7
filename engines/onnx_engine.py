"""Run an exported ONNX model in place of the PyTorch model."""

from pathlib import Path
from typing import Any

import torch

from ..configuration_emonet import EmoNetConfig
from ..errors import EmoNetError
from ..files.disk import file_in
from ..files.guard import file_digest, read_json
from ..layers.outputs import EmoNetOutput
from .onnx_export import MEMORY_GRAPH, MODEL_GRAPH, RECORD_FILE, config_digest


class OnnxEmoNet:
    """ONNX graphs with the interface of the model, for `predict_dialogues`.

    Attributes:
        config: The model's configuration.
        graph: The session of the runtime for tokens to logits.
        memory: The session for utterances to memory vectors, None without a memory.
    """

    device = torch.device("cpu")

    def __init__(self, config: EmoNetConfig, graph: Any, memory: Any = None):
        self.config = config
        self.graph = graph
        self.memory = memory

    @classmethod
    def from_folder(cls, folder: str | Path, threads: int | None = None) -> "OnnxEmoNet":
        """Load a folder of `export_onnx`.

        Args:
            folder: The folder.
            threads: Threads of an operator; None: as many as PyTorch uses.

        Raises:
            EmoNetError: for a missing runtime or file, or a file that was changed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise EmoNetError("onnxruntime is not installed: pip install 'emonet[onnx]'.") from error
        folder = Path(folder)
        again = f"Export the model again: emonet export --model RUN --output {folder}."
        if not (folder / RECORD_FILE).is_file():
            raise EmoNetError(f"{folder} has no {RECORD_FILE}: it is not an exported model. {again}")
        record = read_json(folder / RECORD_FILE)
        paths = {name: file_in(folder, entry["file"]) for name, entry in record["files"].items()}
        for name, path in paths.items():
            if not path.is_file():
                raise EmoNetError(f"{path} is missing. {again}")
            if file_digest(path) != record["files"][name]["sha256"]:
                raise EmoNetError(
                    f"{path} is not the file that was exported: it is incomplete or was changed. {again}"
                )
        config = EmoNetConfig.from_pretrained(folder)
        if config_digest(config) != record["config"]:
            raise EmoNetError(
                f"{folder / 'config.json'} was changed since {paths[MODEL_GRAPH].name} was exported. {again}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        graphs = {
            name: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            for name, path in paths.items()
        }
        return cls(config, graphs[MODEL_GRAPH], graphs.get(MEMORY_GRAPH))

    def eval(self) -> "OnnxEmoNet":
        """Do nothing: a graph has no training mode."""
        return self

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Encode utterances (U, M) into (U, H), as `EmoNetModel.encode_utterances`."""
        return _run(self.memory, {"memory_input_ids": input_ids, "memory_attention_mask": attention_mask})

    def __call__(self, **batch: torch.Tensor) -> EmoNetOutput:
        """Compute the logits (B, T, C) of a batch of `EmoNetProcessor.collate`."""
        if "turn_embeds" in batch:
            raise EmoNetError("An exported model reads tokens: it takes no turn_embeds.")
        if "known_emotions" in batch:
            raise EmoNetError(
                "An exported model takes no known labels (known_emotion): use the PyTorch model "
                "(--engine torch), or leave them out."
            )
        if "memory_input_ids" in batch:
            batch["memory_embeds"] = self.encode_utterances(
                batch["memory_input_ids"], batch["memory_attention_mask"]
            )
        return EmoNetOutput(logits=_run(self.graph, batch))


def _run(session: Any, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Compute a graph's only output from the tensors that it takes."""
    names = [node.name for node in session.get_inputs()]
    (output,) = session.run(None, {name: tensors[name].numpy() for name in names})
    return torch.from_numpy(output)
