"""Where an interrupted training goes on: at the last checkpoint that was written to its
end.
"""

import shutil
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME

from ..files.guard import read_json
from .integrity import check_digests


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest whole checkpoint in `folder`, None where there is none. Half ones, which
    a kill leaves, are deleted.
    """
    checkpoints = [path for path in folder.glob("checkpoint-*") if path.name.partition("-")[2].isdigit()]
    for path in sorted(checkpoints, key=lambda path: -int(path.name.partition("-")[2])):
        if _is_whole(path):
            return path
        shutil.rmtree(path)
    return None


def mean_loss(history: list[dict[str, Any]]) -> float | None:
    """The training loss over all steps, from a Trainer's log, which checkpoints keep: its
    own sum starts anew on resuming.
    """
    total, before = 0.0, 0
    for entry in history:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - before)
            before = entry["step"]
    return total / before if before else None


def _is_whole(checkpoint: Path) -> bool:
    try:
        read_json(checkpoint / TRAINER_STATE_NAME)  # the Trainer writes it last
        check_digests(checkpoint)
    except (OSError, ValueError):
        return False
    return True
