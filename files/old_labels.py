"""Drop what a configuration holds for the labels of an earlier training."""

from collections.abc import Mapping
from typing import Any

from transformers.utils import logging

from ..errors import EmoNetError

logger = logging.get_logger(__name__)

# Fields that hold for the labels of the training, with the values that hold for any.
_OF_LABELS: dict[str, Any] = {"class_weights": None, "calibration_temperature": 1.0, "dataset_version": None}


def label_names(fields: Mapping[str, Any]) -> list[str] | None:
    """Return the labels of a `config.json` in order of their ids, None without any."""
    try:
        labels = {int(index): str(name) for index, name in (fields.get("id2label") or {}).items()}
    except (AttributeError, TypeError, ValueError):
        return None  # the configuration itself refuses it
    return [labels[index] for index in sorted(labels)] or None


def with_new_labels(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a `config.json` without what belongs to replaced labels.

    Args:
        fields: The content.
        changes: Keywords of `from_pretrained`; `id2label` or `num_labels` give labels.

    Raises:
        EmoNetError: for `num_labels` and `id2label` that do not fit each other.
    """
    old, new, count = label_names(fields), label_names(changes), changes.get("num_labels")
    if new is not None and count not in (None, len(new)):
        raise EmoNetError(f"num_labels={count}, but id2label names {len(new)} labels; give id2label alone.")
    if new is None and old is not None and count not in (None, len(old)):
        new = [f"LABEL_{index}" for index in range(int(count))]
    if new is None or new == old:
        return dict(fields)
    kept = {**fields, **_OF_LABELS, "id2label": dict(enumerate(new)), "label2id": None}
    dropped = [
        name for name in _OF_LABELS if name not in changes and fields.get(name, kept[name]) != kept[name]
    ]
    tell_dropped([*dropped, *(["class_bias"] if fields.get("head_members", 1) != 1 else [])])
    return kept


def drop_saved(config: Any, saved: Mapping[str, Any]) -> list[str]:
    """Drop what a configuration with new labels still holds of a saved one; return it."""
    dropped = [
        name
        for name, neutral in _OF_LABELS.items()
        if getattr(config, name) != neutral and getattr(config, name) == saved.get(name)
    ]
    for name in dropped:
        setattr(config, name, _OF_LABELS[name])
    return dropped


def tell_dropped(names: list[str]) -> None:
    """Warn of what was dropped."""
    if names:
        logger.warning(
            f"New labels: {', '.join(names)} belonged to the old ones and {'are' if names[1:] else 'is'} "
            "dropped. To rename labels and keep them, change model.config.id2label after loading."
        )
