"""Define a study that takes seconds, and run it from the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

from emonet.cli.study import add_commands

SEEDS, ROWS = (1, 2), ("context", "emonet")
CELLS = [f"sample/{row}/seed-{seed}" for seed in SEEDS for row in ROWS]


def tiny_study(backbone: Path) -> dict[str, Any]:
    """Two rows and two seeds on the sample corpus, about a second per cell."""
    return {
        "name": "tiny",
        "note": "A note on the study.",
        "datasets": [{"name": "sample"}],
        "backbone": str(backbone),
        "seeds": list(SEEDS),
        "reference": "context",
        "defaults": {
            "preset": "emonet-fast",
            "config": {"speaker_identity": "none", "head_members": 1},
            "training": {"num_train_epochs": 2, "learning_rate": 0.003},
        },
        "rows": {
            "context": {},
            "EmoNet": {"config": {"speaker_identity": "global", "speaker_memory": "corpus"}},
        },
        "pairs": [["context", "EmoNet"]],
    }


def run_study(study: dict[str, Any], folder: Path, *words: str) -> None:
    """`emonet study` on a study file beside the results."""
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(study))
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    arguments = parser.parse_args(["study", str(file), "--output-dir", str(folder), *words])
    arguments.run(arguments)
