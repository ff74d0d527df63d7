"""Predict the example of a card with the model that the card is about."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from ..checkpoint.adapters import DIGESTS_FILE
from ..dialogue.reading import UNKNOWN
from ..files.guard import file_digest, read_json
from ..prompted.configuration import EXTRACTIVE

logger = logging.get_logger(__name__)

EXAMPLE_FILE = "example.json"
EXAMPLE = (
    {"speaker": "Maya", "text": "That's wonderful news!"},
    {"speaker": "Theo", "text": "You threw away my sandwich?!"},
    {"speaker": "Maya", "text": "I'm so sorry."},
)


def write_example(folder: Path, model: Any = None) -> None:
    """Write what a model predicts for `EXAMPLE`, as a dialogue and each text alone.

    The digest of the folder's digests ties the file to the weights. Without a prediction,
    that of an earlier save is deleted. In a distributed training one process can't
    predict alone, and saving fetches no other models.

    Args:
        folder: The folder that the model was just saved to.
        model: The model, if it is what was saved.
    """
    path, digests = folder / EXAMPLE_FILE, folder / DIGESTS_FILE
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if model is None or distributed or _needs_other_models(model.config) or not digests.is_file():
        if not read_example(folder):
            path.unlink(missing_ok=True)
        return
    modes = {module: module.training for module in model.modules()}
    try:
        example = {
            "digests": file_digest(digests),
            "dialogue": [_row(turn) for turn in model.predict([dict(turn) for turn in EXAMPLE])],
            "texts": [_text(model, turn["text"]) for turn in EXAMPLE],
        }
    # Whatever keeps a model from predicting now (no processor, weights on disk), it was
    # saved: its card has no example then.
    except Exception as error:
        logger.info(f"{folder}: the card has no example, because the model did not predict ({error!r})")
        path.unlink(missing_ok=True)
        return
    finally:
        for module, mode in modes.items():
            module.training = mode
    path.unlink(missing_ok=True)  # a link points into the Hub's cache
    path.write_text(json.dumps(example, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_example(folder: Path) -> dict[str, Any]:
    """Read the example of `folder`; empty if there is none, or other weights made it."""
    path, digests = folder / EXAMPLE_FILE, folder / DIGESTS_FILE
    if not (path.is_file() and digests.is_file()):
        return {}
    example = read_json(path)
    known = isinstance(example, dict) and example.get("digests") == file_digest(digests)
    return example if known else {}


def _needs_other_models(config: Any) -> bool:
    """Whether a prediction may fetch a writer of biographies or a sentence encoder."""
    settings = getattr(config, "prompt_settings", None)
    return settings is not None and bool(
        settings.demonstrations or (settings.biography and settings.biography_writer != EXTRACTIVE)
    )


def _row(turn: dict[str, Any]) -> dict[str, Any]:
    return {
        "speaker": turn["speaker"],
        "text": turn["text"],
        "label": turn["label"],
        "score": round(turn["score"], 4),
    }


def _text(model: Any, text: str) -> dict[str, Any]:
    """Predict a text alone, as a text-classification pipeline does."""
    (row,) = model.predict([{"speaker": UNKNOWN, "text": text}])
    output = [{"label": name, "score": round(score, 4)} for name, score in row["scores"].items()]
    return {"text": text, "output": sorted(output, key=lambda entry: -entry["score"])}
