"""Build tiny models, dialogues and a tokenizer for every test."""

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

from emonet.configuration_emonet import EmoNetConfig, is_decoder_type
from emonet.knowledge.concepts import ConceptTable
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config

LABELS = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]
LABEL_MAPS: dict[str, Any] = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: index for index, label in enumerate(LABELS)},
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": {**SIZES, "max_position_embeddings": 513, "pad_token_id": 0},
    "deberta-v2": {**SIZES, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "modernbert": {
        **SIZES,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    },
    "llama": {**SIZES, "num_key_value_heads": 2},
    "qwen2": {**SIZES, "num_key_value_heads": 2},
}
DIALOGUE = [
    {"speaker": "Ann", "text": "hello there how are you", "emotion": "Neutral"},
    {"speaker": "Bob", "text": "great we won", "emotion": "Joyful"},
    {"speaker": "Ann", "text": "that is wonderful news", "emotion": "Joyful"},
    {"speaker": "Cat", "text": "", "emotion": "Sad"},
    {"speaker": "Bob", "text": "leave me alone", "emotion": "Mad"},
    {"speaker": "Ann", "text": "ok 😀", "emotion": "Peaceful"},
]
OTHER = [
    {"speaker": "Zed", "text": "i hate this so very much leave me alone you fool", "emotion": "Mad"},
    {"speaker": "Ann", "text": "no", "emotion": "Scared"},
]
WORDS = sorted(
    {word for turn in DIALOGUE + OTHER for word in turn["text"].split()}
    | set("abcdefghijklmnopqrstuvwxyz<>:123456789\n")
)


def text_config(family: str, **changes: Any) -> Any:
    return CONFIG_MAPPING[family](**{"vocab_size": len(WORDS) + 5, **FAMILIES[family], **changes})


def make_tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        eos_token="[SEP]",
    )


SPEAKERS = {"Ann": 1, "Bob": 2}


def build(
    tokenizer: Any,
    preset: str,
    family: str = "bert",
    backbone: dict[str, Any] | None = None,
    concepts: ConceptTable | None = None,
    **changes: Any,
) -> tuple[Any, EmoNetProcessor]:
    torch.manual_seed(0)
    fields = {**preset_config(preset, is_decoder_type(family), 3), **changes}
    config = EmoNetConfig(
        text_config=text_config(family, **backbone or {}), num_speakers=3, **LABEL_MAPS, **fields
    )
    # Larger weights than at initialisation, so that a leak exceeds rounding errors.
    model = EmoNetForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "emonet.memory" not in name:
                parameter.mul_(3)
    return model, EmoNetProcessor(tokenizer, config, SPEAKERS, concepts)


def taking_labels(tokenizer: Any, **changes: Any) -> tuple[Any, EmoNetProcessor]:
    """A model that takes known labels, which would have no say before training."""
    model, processor = build(tokenizer, "emonet-labels", **changes)
    evidence = model.emonet.label_evidence
    torch.manual_seed(1)
    for weight in (evidence.to_states, evidence.to_logits):
        torch.nn.init.normal_(weight, std=0.5)
    return model, processor


@torch.no_grad()
def logits(model: Any, processor: EmoNetProcessor, *dialogues: Any) -> torch.Tensor:
    return model(**processor(list(dialogues))).logits
