"""Build presets on small untrained backbones, or on those that are named."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from transformers import AutoConfig, BertConfig, LlamaConfig

from ..backbones.embedded import resolve_backbone
from ..checkpoint.files import backbone_tokenizer
from ..configuration_emonet import EmoNetConfig, is_decoder_type
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..prompted.configuration import PromptedEmoNetConfig
from ..prompted.modeling import PromptedEmoNet
from ..prompted.processing import PromptedProcessor
from ..runs.prompted.presets import PROMPTED_PRESETS
from ..training.presets import preset_config

LABELS = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]
WORDS = ["we", "went", "there", "on", "foot", "so", "it", "was", "late", "and", "you", "know"]  # a token each
TINY, TINY_DECODER = "tiny", "tiny-decoder"
_TOKENIZERS = {TINY: "minilm", TINY_DECODER: "smollm2"}
_LABEL_MAPS: dict[str, Any] = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: index for index, label in enumerate(LABELS)},
}


def build(
    backbone: str,
    preset: str,
    speakers: Mapping[str, int] | None = None,
    layers: int = 3,
    width: int = 64,
    **overrides: Any,
) -> tuple[Any, EmoNetProcessor]:
    """A preset's model with random weights, and its processor.

    Args:
        backbone: `tiny`, `tiny-decoder`, or a backbone's name or folder.
        preset: The preset.
        speakers: Global ids by name.
        layers: Those of a tiny backbone.
        width: The hidden size of a tiny backbone.
        overrides: `EmoNetConfig` fields.
    """
    tokenizer = backbone_tokenizer(_TOKENIZERS.get(backbone, backbone))
    if backbone in _TOKENIZERS:
        text_config = _tiny(backbone, len(tokenizer), layers, width)
    else:
        text_config = AutoConfig.from_pretrained(resolve_backbone(backbone))
    is_decoder = is_decoder_type(text_config.model_type)
    fields = {**preset_config(preset, is_decoder, text_config.num_hidden_layers), **overrides}
    torch.manual_seed(0)
    config = EmoNetConfig(text_config=text_config, **_LABEL_MAPS, **fields)
    model: Any = EmoNetForSequenceClassification(config)
    return model.eval(), EmoNetProcessor(tokenizer, config, speakers)


def build_prompted(backbone: str, preset: str) -> tuple[Any, PromptedProcessor]:
    """A prompted preset's model, and its processor.

    Args:
        backbone: `tiny-decoder` for random weights, or a language model's name or folder.
        preset: The preset.
    """
    settings = PROMPTED_PRESETS[preset].settings
    if backbone != TINY_DECODER:
        model: Any = PromptedEmoNet.from_backbone(backbone, LABELS, settings)
        return model, model.processor
    tokenizer = backbone_tokenizer(_TOKENIZERS[backbone])
    text_config = _tiny(backbone, len(tokenizer), 3, 64)
    torch.manual_seed(0)
    config = PromptedEmoNetConfig(text_config=text_config, prompts=asdict(settings), **_LABEL_MAPS)
    model = PromptedEmoNet(config)
    return model.eval(), PromptedProcessor(tokenizer, config)


def _tiny(backbone: str, vocabulary: int, layers: int, width: int) -> Any:
    kind: Any = BertConfig if backbone == TINY else LlamaConfig
    return kind(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
    )
