"""Fine-tune a trained EmoNet: its backbone, context and memory, on another corpus."""

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from ..backbones.embedded import backbone_name, resolve_backbone
from ..configuration_emonet import EmoNetConfig
from ..data import Conversations
from ..errors import EmoNetError, loading
from ..fine_tuning.prepare import add_speakers, start_classifier
from ..modeling_emonet import EmoNetForSequenceClassification
from ..pretrained.models import built_in_path
from ..processing_emonet import EmoNetProcessor
from .families import check_trainable
from .options import TrainOptions

logger = logging.get_logger(__name__)


def is_trained(backbone: str) -> bool:
    """Whether a backbone is a trained EmoNet: a run, a repository or a built-in."""
    path = built_in_path(backbone)
    if path == backbone:
        path = resolve_backbone(backbone)
    with loading(backbone, "backbone"):
        model_type = EmoNetConfig.get_config_dict(path)[0].get("model_type")
    if model_type == "emonet_prompted":
        raise EmoNetError(f"{backbone}: a prompted model can't be trained further; name its backbone.")
    return bool(model_type == EmoNetConfig.model_type)


def continue_training(
    options: TrainOptions,
) -> tuple[EmoNetForSequenceClassification, EmoNetProcessor, Conversations, dict[str, Any]]:
    """Load a trained EmoNet as the start of a training; see `build_model`.

    The same labels keep the classifier, in its order; others start it anew, with a
    warning. Known persons keep their ids, and new ones get the ids after them.

    Raises:
        EmoNetError: for overrides of the trained architecture, or knowledge.
    """
    load: Any = EmoNetForSequenceClassification.from_pretrained
    model = load(options.backbone, dtype=torch.float32)
    processor, config = model.processor, model.config
    if config.num_concepts:
        raise EmoNetError(f"{options.backbone}: a model with concepts can't be trained further.")
    changed = [
        name
        for name, value in (options.config_overrides or {}).items()
        if getattr(config, name, None) != value
    ]
    if changed:
        raise EmoNetError(
            f"{options.backbone} is trained with {changed[0]}={getattr(config, changed[0], None)!r}, which "
            "fine-tuning keeps: leave the option out, or train on its backbone anew."
        )
    history = {"history_window": config.memory_window, "history_scope": config.speaker_memory}
    conversations = options.load(**history)
    check_trainable(conversations, options.dataset)
    old, labels = config.label_names, list(conversations.labels)
    if set(old) != set(labels):
        logger.warning(
            f"{options.dataset} has the labels {', '.join(labels)}, and {options.backbone} "
            f"{', '.join(old)}: the classifier starts anew."
        )
        ids = {"id2label": dict(enumerate(labels))}
        model = load(options.backbone, dtype=torch.float32, ignore_mismatched_sizes=True, **ids)
        start_classifier(model)
        model.processor = processor
    elif old != labels:
        conversations = options.load(labels=old, **history)
        if list(conversations.labels) != old:
            raise EmoNetError(
                f"{options.dataset} has the labels of {options.backbone} in another order: "
                f"{', '.join(labels)} for {', '.join(old)}."
            )
    model.config.dataset_version = conversations.dataset_version
    model.processor = processor
    add_speakers(model, conversations.speakers)
    fields = {name: getattr(model.config, name) for name in ("context_mode", "speaker_memory")}
    return model, processor, conversations, {**fields, "backbone": backbone_name(str(Path(options.backbone)))}
