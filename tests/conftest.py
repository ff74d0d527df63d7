"""Tiny backbones with a tokenizer made on the spot, so that no test needs a network or a weight file."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

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
    "modernbert": {**SIZES, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
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
    {word for turn in DIALOGUE + OTHER for word in turn["text"].split()} | set("abcdefghijklmnopqrstuvwxyz<>:123456789\n")
)


def text_config(family: str, **changes: Any) -> Any:
    return CONFIG_MAPPING[family](**{"vocab_size": len(WORDS) + 5, **FAMILIES[family], **changes})


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


def make_tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
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


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A folder with a tiny BERT and its tokenizer, as `from_backbone` takes it."""
    from transformers import BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-bert")
    BertModel(text_config("bert")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the real corpora; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("EMONET_DATA", Path(__file__).parents[1] / ".." / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("the real corpora are not here: set EMONET_DATA to their folder")
    return folder
