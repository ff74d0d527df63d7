"""Warn of texts that a backbone's vocabulary cannot read, such as emoji."""

import warnings
from collections.abc import Iterable
from typing import Any

_MOST = 0.01  # share of the characters


def unknown_share(tokenizer: Any, texts: Iterable[str]) -> float:
    """The share of the characters that a tokenizer turns into its unknown token.

    Texts in ASCII are counted but not encoded, because every vocabulary has them. Blanks
    do not count.

    Args:
        tokenizer: A tokenizer of transformers; without an unknown token the share is 0.
        texts: Cleaned texts.
    """
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is None or not getattr(tokenizer, "is_fast", False):
        return 0.0
    total, others = 0, []
    for text in texts:
        total += len(text) - text.count(" ")
        if not text.isascii():
            others.append(text)
    if not others:
        return 0.0
    encoded = tokenizer(others, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    lost: int = sum(
        end - start
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        for token, (start, end) in zip(ids, offsets, strict=True)
        if token == unknown
    )
    return lost / max(total, 1)


def warn_of_unknown_characters(tokenizer: Any, texts: Iterable[str]) -> None:
    """Warn once if a tokenizer cannot read more than 1 % of the characters of texts."""
    share = unknown_share(tokenizer, texts)
    if share > _MOST:
        warnings.warn(
            f"The backbone's vocabulary lacks {share:.0%} of the characters of these texts (emoji or another "
            f"script), which become {tokenizer.unk_token}: the model does not see them. The backbone smollm2 "
            "reads them (train with --backbone smollm2).",
            stacklevel=3,
        )
