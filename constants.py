"""The package's version and the choices of configuration fields and options.

This file imports no PyTorch, so that the command line starts without it.
"""

from typing import Literal, get_args

PACKAGE_VERSION = "0.1.0"  # checkpoints record it
NO_LABEL = -100  # of a turn without an emotion; PyTorch's cross entropy skips it

ContextMode = Literal["packed", "per_turn"]
SpeakerIdentity = Literal["none", "local", "global", "name"]
IdentityPosition = Literal["marker", "turn"]
SpeakerMemory = Literal["none", "dialogue", "corpus"]
MemoryEncoder = Literal["frozen", "shared", "trained"]
MemoryPooling = Literal["last", "decay", "attention"]
MemoryFusion = Literal["add", "concat", "gated"]
Pooling = Literal["mean", "first", "last"]

# The choices by field of `EmoNetConfig`.
CHOICES: dict[str, tuple[str, ...]] = {
    "context_mode": get_args(ContextMode),
    "speaker_identity": get_args(SpeakerIdentity),
    "identity_position": get_args(IdentityPosition),
    "speaker_memory": get_args(SpeakerMemory),
    "memory_encoder": get_args(MemoryEncoder),
    "memory_pooling": get_args(MemoryPooling),
    "memory_fusion": get_args(MemoryFusion),
    "pooling": get_args(Pooling),
}

# Engines run a trained model; bulk engines predict files of any size into a folder.
ENGINES = ("torch", "onnx")
BULK_ENGINES = ("datasets", "ray")
AUTO = "auto"  # the dtype that is fastest here
DTYPES = (AUTO, "float32", "bfloat16", "float16")
