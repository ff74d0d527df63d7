"""Characters that a vocabulary lacks: their share, and one warning."""

import warnings

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from emonet.inference.unknown_characters import UnknownCharacters, warn_of_unknown_characters


def tokenizer(unknown: str | None = "[UNK]") -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({"[UNK]": 0, "hello": 1, "caf\u00e9": 2}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token=unknown)


def unknown_share(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    characters = UnknownCharacters(tokenizer)
    assert [characters.add(text) for text in texts] == texts
    lost, total = characters.counts()
    return lost / max(total, 1)


def test_the_share_counts_characters() -> None:
    assert unknown_share(tokenizer(), ["hello caf\u00e9"]) == 0
    assert unknown_share(tokenizer(), ["hello \u043f\u0440\u0438\u0432\u0435\u0442"]) == 6 / 11
    assert unknown_share(tokenizer(), ["hello caf\u00e9 \U0001f600", "hello" * 5]) == pytest.approx(1 / 35)
    assert unknown_share(tokenizer(), ["hello \u043f\u0440\u0438\u0432\u0435\u0442"] * 1000) == 6 / 11
    assert unknown_share(tokenizer(None), ["\u043f\u0440"]) == 0 == unknown_share(tokenizer(), [])


def test_one_warning_names_a_backbone_that_reads_them() -> None:
    with pytest.warns(UserWarning, match=r"lacks 55% of the characters .*\[UNK\].*smollm2") as caught:
        warn_of_unknown_characters(tokenizer(), ["hello \u043f\u0440\u0438\u0432\u0435\u0442"] * 10)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unknown_characters(tokenizer(), ["hello \U0001f600", "hello" * 50])
