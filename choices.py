"""The words that fields and options may hold, apart from what reads them so that a command line needs no PyTorch."""

CHOICES: dict[str, tuple[str, ...]] = {
    "context_mode": ("packed", "per_turn"),
    "speaker_identity": ("none", "local", "global", "name"),
    "identity_position": ("marker", "turn"),
    "speaker_memory": ("none", "dialogue", "corpus"),
    "memory_encoder": ("frozen", "shared", "trained"),
    "memory_pooling": ("last", "decay", "attention"),
    "memory_fusion": ("add", "concat", "gated"),
    "pooling": ("mean", "first", "last"),
}

# What runs a trained model; the bulk engines predict files of any size into a folder.
ENGINES = ("torch", "onnx")
BULK_ENGINES = ("datasets", "ray")
DTYPES = ("float32", "bfloat16")
