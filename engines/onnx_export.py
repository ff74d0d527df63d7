"""An encoder EmoNet as an ONNX graph: tokens in, logits out, with batch, turns, tokens and histories of any size."""

import hashlib
import json
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from ..configuration_emonet import EmoNetConfig
from ..digests import file_digest
from ..errors import EmoNetError
from ..features import encoder_digest
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..turn_attention import pool_last_turn, run_encoder
from .load import RECORD_FILE

MODEL_FILE, INT8_FILE = "model.onnx", "model_int8.onnx"
OPSET = 18
_AXES = {
    "speaker_ids": ("dialogues", "turns"),
    "local_speaker_ids": ("dialogues", "turns"),
    "sequence_index": ("dialogues", "turns"),
    "input_ids": ("sequences", "tokens"),
    "attention_mask": ("sequences", "tokens"),
    "turn_ids": ("sequences", "tokens"),
    "read_mask": ("sequences", "tokens"),
    "memory_input_ids": ("utterances", "utterance_tokens"),
    "memory_attention_mask": ("utterances", "utterance_tokens"),
    "memory_index": ("dialogues", "turns", "history"),
}
# Repeated speakers, so that the memory holds something while the graph is traced.
_EXAMPLE = [
    [("Ann", "Hello there."), ("Bob", "Hi, how are you?"), ("Ann", "Never better!"), ("Bob", "That's nice to hear.")],
    [("Cat", "Where is it?"), ("Cat", "It was here."), ("Ann", "No idea.")],
]


def export_onnx(
    model: EmoNetForSequenceClassification, processor: EmoNetProcessor, folder: str | Path, int8: bool = False
) -> Path:
    """Write the model as ONNX, with the configuration and tokenizer that `OnnxEmoNet.from_folder` needs.

    Args:
        model: With an encoder backbone. folder: Made if need be.
        int8: Weights of matrix products as 8-bit integers, a scale a column, activations quantised as they come; embeddings
            and GRUs stay float32.

    Returns:
        The folder.

    Raises:
        EmoNetError: for a decoder backbone, or where the `onnx` extra is not installed.
    """
    if model.config.is_decoder_backbone:
        raise EmoNetError(
            f"The backbone {model.config.text_config.model_type} is a decoder: only encoder models are exported to ONNX. "
            "A decoder keeps its keys and values in a session instead (EmoNetSession)."
        )
    try:
        import onnx  # noqa: F401  the exporter and the quantiser need it
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[onnx]'.") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    name = INT8_FILE if int8 else MODEL_FILE
    handle, temporary = tempfile.mkstemp(suffix=".onnx", dir=folder)
    os.close(handle)
    try:
        _write_graph(model, processor, temporary)
        if int8:
            _quantize(temporary)
        os.replace(temporary, folder / name)
    finally:
        Path(temporary).unlink(missing_ok=True)
    record = {
        "file": name,
        "sha256": file_digest(folder / name),
        "weights": encoder_digest(model),
        "config": config_digest(model.config),
        "opset": OPSET,
    }
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return folder


def config_digest(config: EmoNetConfig) -> str:
    """Digest of all that a configuration says of the graph; versions and names of files are left out."""
    ignored = ("emonet_version", "transformers_version", "_name_or_path", "architectures", "auto_map", "dtype")
    fields = {name: value for name, value in config.to_diff_dict().items() if name not in ignored}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


class _Graph(nn.Module):
    """`EmoNetForSequenceClassification.forward` on plain tensors, without the shortcuts that depend on what is in them.

    Training skips turns without a history and encodes per_turn sequences in portions; a graph takes all of them at once.
    """

    def __init__(self, model: EmoNetForSequenceClassification, names: list[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The inputs `names` → logits (B, T, C)."""
        given = dict(zip(self.names, tensors, strict=True))
        base = self.model.emonet
        speaker_ids = given["speaker_ids"]
        states = base.with_identity(self._turn_vectors(given), speaker_ids, given.get("local_speaker_ids"))
        if base.context is not None:
            states = base.context(states, speaker_ids, speaker_ids >= 0)
        if base.memory is not None:
            states = base.memory.merged(states, self._behaviour(states, given))
        return self.model.classifier(states)

    def _turn_vectors(self, given: dict[str, torch.Tensor]) -> torch.Tensor:
        base, config = self.model.emonet, self.model.config
        tokens = {name: given[name] for name in ("input_ids", "attention_mask", "turn_ids", "speaker_ids")}
        if config.context_mode == "packed":
            return base.encode_turns(**tokens, read_mask=given.get("read_mask"))
        index = given["sequence_index"]
        embeds = base.get_input_embeddings()(given["input_ids"])
        if base.speaker_embedding is not None and config.identity_position == "marker":
            embeds = embeds + base.marker_embeds(given["turn_ids"], given["speaker_ids"], index)
        mask, turns = given["attention_mask"], given["turn_ids"]
        vectors = pool_last_turn(run_encoder(base.encoder, config, embeds, mask, turns), mask, turns, config.pooling)
        return vectors[index.clamp(min=0)] * (index >= 0).unsqueeze(-1).to(vectors.dtype)

    def _behaviour(self, states: torch.Tensor, given: dict[str, torch.Tensor]) -> torch.Tensor:
        base = self.model.emonet
        memory = base.encode_utterances(given["memory_input_ids"], given["memory_attention_mask"])
        if base.memory_standardizer is not None:
            memory = base.memory_standardizer(memory)
        index = given["memory_index"].flatten(0, 1)
        lengths = (index >= 0).sum(-1)
        assert base.memory is not None
        read = base.memory.read(memory[index.clamp(min=0)], lengths.clamp(min=1), states.flatten(0, 1))
        return (read * (lengths > 0).unsqueeze(-1).to(read.dtype)).view(states.shape)


def _write_graph(model: EmoNetForSequenceClassification, processor: EmoNetProcessor, path: str) -> None:
    dialogues = [[{"speaker": speaker, "text": text} for speaker, text in turns] for turns in _EXAMPLE]
    batch = processor(dialogues)
    names = [name for name in _AXES if name in batch]
    axes = {name: dict(enumerate(_AXES[name])) for name in names}
    with warnings.catch_warnings(), torch.no_grad():
        # The other exporter fixes the number of turns, the GRU's time axis. Its warnings are about constants that are none.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Graph(model, names).eval(),
            tuple(batch[name] for name in names),
            path,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "dialogues", 1: "turns"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _quantize(path: str) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, path, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
