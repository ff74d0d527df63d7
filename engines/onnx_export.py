"""Export an encoder EmoNet as ONNX graphs with dynamic sizes of all axes.

One graph takes tokens and memory vectors to logits. A model with a memory has a second
one for those vectors, so that an utterance is encoded once for all turns with it in their
memory.
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
from ..context.running import run_context
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
# Speakers speak again, so that their memory is not empty when the graph is traced.
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
    """Export the model into a folder for `OnnxEmoNet`.

    The graphs are `model.onnx` and, for a model with a memory, `memory.onnx`.

    Args:
        model: A model with an encoder backbone.
        processor: Its processor.
        folder: Created if it is missing.
        int8: Quantise the weights of matrix products to 8-bit integers with a scale per
            column, and activations dynamically; embeddings and GRUs stay float32.

    Returns:
        The folder.

    Raises:
        EmoNetError: for a decoder backbone, a context module whose graph would fix the
            number of turns, or without the `onnx` extra.
    """
    if not hasattr(model, "emonet") or model.config.is_decoder_backbone:  # a prompted model is a decoder
        raise EmoNetError(
            f"The backbone {model.config.text_config.model_type} is a decoder: only encoder models are "
            "exported to ONNX. A decoder keeps its keys and values in a session instead (EmoNetSession)."
        )
    if model.emonet.context is not None and not model.emonet.context.exports:
        raise EmoNetError(
            f"context_module={model.config.context_module!r} is not exported to ONNX; "
            "predict with --engine torch."
        )
    try:
        import onnx  # noqa: F401  the exporter and the quantiser need it
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[onnx]'.") from error
    folder = Path(folder)
    refuse_outside_links(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()  # type: ignore[no-untyped-call]
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
    """Compute the digest of a configuration, without versions and names of files."""
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
    """A module of positional tensors to trace, with example inputs and names of axes."""

    name: str
    module: nn.Module
    example: dict[str, torch.Tensor]
    axes: dict[str, tuple[str, ...]]
    output: str


class _Logits(nn.Module):
    """`EmoNetForSequenceClassification.forward` without data-dependent branches.

    The model skips turns without a history and encodes per_turn sequences in batches of
    similar length; a graph computes all of them at once.
    """

    def __init__(self, model: EmoNetForSequenceClassification, names: list[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Compute the logits (B, T, C) of the inputs `names`."""
        inputs = dict(zip(self.names, tensors, strict=True))
        base = self.model.emonet
        speaker_ids = inputs["speaker_ids"]
        states = base.with_identity(self._turn_vectors(inputs), speaker_ids, inputs.get("local_speaker_ids"))
        if base.context is not None:
            states = run_context(base.context, states, speaker_ids, inputs.get("local_speaker_ids"))
        if base.memory is not None:
            states = base.memory.merged(states, self._behaviour(states, inputs))
        logits: torch.Tensor = self.model.classifier(states)
        return logits

    def _turn_vectors(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        base, config = self.model.emonet, self.model.config
        tokens = {name: inputs[name] for name in ("input_ids", "attention_mask", "turn_ids", "speaker_ids")}
        if config.context_mode == "packed":
            return base.encode_turns(**tokens, read_mask=inputs.get("read_mask"))
        index = inputs["sequence_index"]
        embeds = base.get_input_embeddings()(inputs["input_ids"])
        if base.speaker_embedding is not None and config.identity_position == "marker":
            embeds = embeds + base.marker_embeds(inputs["turn_ids"], inputs["speaker_ids"], index)
        mask, turns = inputs["attention_mask"], inputs["turn_ids"]
        hidden = run_encoder(base.encoder, config, embeds, mask, turns).last_hidden_state
        vectors = pool_last_turn(hidden, mask, turns, config.pooling)
        return vectors[index.clamp(min=0)] * (index >= 0).unsqueeze(-1).to(vectors.dtype)

    def _behaviour(self, states: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Read the memory of every turn (B, T, H), with zeros where there is none."""
        base = self.model.emonet
        # A row of zeros to index where no turn of the batch has a history.
        memory = nn.functional.pad(inputs["memory_embeds"], (0, 0, 0, 1))
        if base.memory_standardizer is not None:
            memory = base.memory_standardizer(memory)
        index = inputs["memory_index"].flatten(0, 1)
        lengths = (index >= 0).sum(-1)
        assert base.memory is not None
        read = base.memory.read(memory[index.clamp(min=0)], lengths.clamp(min=1), states.flatten(0, 1))
        return (read * (lengths > 0).unsqueeze(-1).to(read.dtype)).view(states.shape)


class _Memory(nn.Module):
    """`EmoNetModel.encode_utterances`: utterances (U, M) and their mask to (U, H)."""

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
    """Trace into a temporary file that replaces `path` when it is complete."""
    handle, temporary = tempfile.mkstemp(suffix=".onnx", dir=path.parent)
    os.close(handle)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The dynamo exporter fixes the number of turns, the GRU's time axis. This one
            # warns of sizes that are not constants after all.
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
