"""Build the backbone of a configuration."""

from collections.abc import Callable

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
