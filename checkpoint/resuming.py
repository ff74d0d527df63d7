"""Find the checkpoint to resume from, and the mean loss of a resumed training."""

import shutil
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME

from ..files.guard import read_json
from .integrity import check_digests


def last_whole_checkpoint(folder: Path) -> Path | None:
    """Find the latest complete checkpoint in `folder`, None where there is none.

    Later incomplete ones, which a kill leaves, are deleted.
    """
    checkpoints = [path for path in folder.glob("checkpoint-*") if path.name.partition("-")[2].isdigit()]
    for path in sorted(checkpoints, key=lambda path: -int(path.name.partition("-")[2])):
        if _is_complete(path):
            return path
        shutil.rmtree(path)
    return None


def mean_loss(history: list[dict[str, Any]]) -> float | None:
    """Compute the training loss over all steps from a Trainer's log.

    Checkpoints keep the log, while the Trainer's own sum starts at 0 on resuming.
    """
    total, last_step = 0.0, 0
    for entry in history:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - last_step)
            last_step = entry["step"]
    return total / last_step if last_step else None


def _is_complete(checkpoint: Path) -> bool:
    try:
        read_json(checkpoint / TRAINER_STATE_NAME)  # the Trainer writes this file last
        check_digests(checkpoint)
    except (OSError, ValueError):
        return False
    return True
