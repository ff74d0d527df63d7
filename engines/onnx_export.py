"""An encoder EmoNet as ONNX graphs with batch, turns, tokens and histories of any size.

One takes tokens and memory vectors to logits; a model with a memory has a second that
makes those vectors, so that an utterance is encoded once for all the turns that remember
it.
"""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..checkpoint.adapters import weights_digest
from ..configuration_emonet import EmoNetConfig
from ..errors import EmoNetError
from ..files.guard import file_digest, refuse_outside_links
from ..layers.turn_attention import pool_last_turn, run_encoder
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor

RECORD_FILE = "onnx.json"  # marks a folder of `export_onnx`
MODEL_GRAPH, MEMORY_GRAPH = "model", "memory"
OPSET = 18
_AXES = {
    "speaker_ids": ("dialogues", "turns"),
    "local_speaker_ids": ("dialogues", "turns"),
    "sequence_index": ("dialogues", "turns"),
    "input_ids": ("sequences", "tokens"),
    "attention_mask": ("sequences", "tokens"),
    "turn_ids": ("sequences", "tokens"),
    "read_mask": ("sequences", "tokens"),
    "memory_embeds": ("utterances",),
    "memory_index": ("dialogues", "turns", "history"),
    "logits": ("dialogues", "turns"),
}
_MEMORY_AXES = {
    "memory_input_ids": ("utterances", "utterance_tokens"),
    "memory_attention_mask": ("utterances", "utterance_tokens"),
    "memory_embeds": ("utterances",),
}
# Repeated speakers, so that the memory holds something while the graph is traced.
_EXAMPLE = [
    [
        ("Ann", "Hello there."),
        ("Bob", "Hi, how are you?"),
        ("Ann", "Never better!"),
        ("Bob", "That's nice to hear."),
    ],
    [("Cat", "Where is it?"), ("Cat", "It was here."), ("Ann", "No idea.")],
]


def export_onnx(
    model: EmoNetForSequenceClassification, processor: EmoNetProcessor, folder: str | Path, int8: bool = False
) -> Path:
    """Write the model as ONNX (`model.onnx`, and `memory.onnx` where it has a memory),
    with what `OnnxEmoNet` needs besides.

    Args:
        model: With an encoder backbone. folder: Made if need be.
        int8: Weights of matrix products as 8-bit integers, a scale a column, activations
            quantised as they come; embeddings and GRUs stay float32.

    Returns:
        The folder.

    Raises:
        EmoNetError: for a decoder backbone, a context module without a graph for all
            lengths, or where the `onnx` extra is not installed.
    """
    if not hasattr(model, "emonet") or model.config.is_decoder_backbone:  # a prompted model is a decoder
        raise EmoNetError(
            f"The backbone {model.config.text_config.model_type} is a decoder: only encoder models are exported to ONNX. "
            "A decoder keeps its keys and values in a session instead (EmoNetSession)."
        )
    if model.emonet.context is not None and not model.emonet.context.exports:
        raise EmoNetError(
            f"context_module={model.config.context_module!r} is not exported to ONNX; predict with --engine torch."
        )
    try:
        import onnx  # noqa: F401  the exporter and the quantiser need it
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[onnx]'.") from error
    folder = Path(folder)
    refuse_outside_links(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    files = {}
    for graph in _graphs(model, processor):
        path = folder / f"{graph.name}{'_int8' if int8 else ''}.onnx"
        _write_whole(graph, path, int8)
        files[graph.name] = {"file": path.name, "sha256": file_digest(path)}
    record = {
        "files": files,
        "weights": weights_digest(model),
        "config": config_digest(model.config),
        "opset": OPSET,
    }
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return folder


def config_digest(config: EmoNetConfig) -> str:
    """Digest of all that a configuration says of the graph; versions and names of files
    are left out.
    """
    ignored = (
        "emonet_version",
        "transformers_version",
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
    )
    fields = {name: value for name, value in config.to_diff_dict().items() if name not in ignored}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class _Graph:
    """What is traced: a module of positional tensors, an example of each, and the names
    of their axes.
    """

    name: str
    module: nn.Module
    example: dict[str, torch.Tensor]
    axes: dict[str, tuple[str, ...]]
    output: str


class _Logits(nn.Module):
    """`EmoNetForSequenceClassification.forward` on plain tensors, without the shortcuts
    that depend on what is in them.

    Training skips turns without a history and encodes per_turn sequences in portions; a
    graph takes all of them at once.
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
            states = base.in_context(states, speaker_ids, given.get("local_speaker_ids"))
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
        vectors = pool_last_turn(
            run_encoder(base.encoder, config, embeds, mask, turns), mask, turns, config.pooling
        )
        return vectors[index.clamp(min=0)] * (index >= 0).unsqueeze(-1).to(vectors.dtype)

    def _behaviour(self, states: torch.Tensor, given: dict[str, torch.Tensor]) -> torch.Tensor:
        base = self.model.emonet
        memory = nn.functional.pad(
            given["memory_embeds"], (0, 0, 0, 1)
        )  # a row to point to where nobody has a history
        if base.memory_standardizer is not None:
            memory = base.memory_standardizer(memory)
        index = given["memory_index"].flatten(0, 1)
        lengths = (index >= 0).sum(-1)
        assert base.memory is not None
        read = base.memory.read(memory[index.clamp(min=0)], lengths.clamp(min=1), states.flatten(0, 1))
        return (read * (lengths > 0).unsqueeze(-1).to(read.dtype)).view(states.shape)


class _Memory(nn.Module):
    """(U, M) utterances and their mask → (U, H), as `EmoNetModel.encode_utterances`."""

    def __init__(self, model: EmoNetForSequenceClassification):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model.emonet.encode_utterances(input_ids, attention_mask)


def _graphs(model: EmoNetForSequenceClassification, processor: EmoNetProcessor) -> Iterator[_Graph]:
    batch = processor([[{"speaker": speaker, "text": text} for speaker, text in turns] for turns in _EXAMPLE])
    if model.emonet.memory is not None:
        tokens = {name: batch.pop(name) for name in _MEMORY_AXES if name in batch}
        with torch.no_grad():
            batch["memory_embeds"] = model.emonet.encode_utterances(*tokens.values())
        yield _Graph(MEMORY_GRAPH, _Memory(model), tokens, _MEMORY_AXES, "memory_embeds")
    example = {name: batch[name] for name in _AXES if name in batch}
    yield _Graph(MODEL_GRAPH, _Logits(model, list(example)), example, _AXES, "logits")


def _write_whole(graph: _Graph, path: Path, int8: bool) -> None:
    """Trace into a temporary file, which takes the place of `path` when it is whole."""
    handle, temporary = tempfile.mkstemp(suffix=".onnx", dir=path.parent)
    os.close(handle)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The other exporter fixes the number of turns, the GRU's time axis. Its
            # warnings are about constants that are none.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph.module.eval(),
                tuple(graph.example.values()),
                temporary,
                input_names=list(graph.example),
                output_names=[graph.output],
                dynamic_axes={
                    name: dict(enumerate(graph.axes[name])) for name in (*graph.example, graph.output)
                },
                opset_version=OPSET,
                dynamo=False,
            )
        if int8:
            _quantize(temporary)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _quantize(path: str) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        path, path, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
    )
