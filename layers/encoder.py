"""Build the backbone of a configuration and load its weights."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from ..configuration_emonet import EmoNetConfig


def build_encoder(config: EmoNetConfig) -> PreTrainedModel:
    """Build the backbone, without weights and without a pooler."""
    build: Callable[..., PreTrainedModel] = AutoModel.from_config
    try:
        encoder = build(config.text_config, add_pooling_layer=False)
    except TypeError:  # families without a pooler do not take the argument
        encoder = build(config.text_config)
    if config.readout_layer is not None and config.is_decoder_backbone and hasattr(encoder, "norm"):
        encoder.norm = nn.Identity()  # the final norm fits the last layer, not the one that is read
    return encoder


def fill_encoders(
    encoders: Iterable[PreTrainedModel | None], state: Mapping[str, torch.Tensor], backbone: str
) -> None:
    """Load pretrained weights into encoders.

    Args:
        encoders: Those of a model; None is skipped.
        state: The backbone's weights.
        backbone: Its name, for messages.

    Raises:
        ValueError: where weights are missing, which would be random.
    """
    for encoder in filter(None, encoders):
        missing = encoder.load_state_dict(state, strict=False).missing_keys
        if missing:
            raise ValueError(f"{backbone!r} lacks backbone weights, for example {missing[0]!r}.")
