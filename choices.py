"""The values of configuration fields and options with a fixed set of choices.

They have a file of their own, so that the command line needs no PyTorch.
"""

from typing import Literal, get_args

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
DTYPES = ("float32", "bfloat16")
