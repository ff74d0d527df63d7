"""Warn of texts that a backbone's vocabulary cannot read, such as emoji."""

import warnings
from collections.abc import Iterable
from typing import Any

_MOST = 0.01  # share of the characters
_AT_ONCE = 256  # texts that are encoded together


class UnknownCharacters:
    """Count the characters that a tokenizer turns into its unknown token.

    Texts in ASCII are counted but not encoded, because every vocabulary has them. Blanks
    do not count.

    Args:
        tokenizer: A tokenizer of transformers; without an unknown token nothing is lost.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        unknown = getattr(tokenizer, "unk_token_id", None)
        self._unknown = unknown if getattr(tokenizer, "is_fast", False) else None
        self._total, self._lost, self._others = 0, 0, list[str]()

    def add(self, text: str) -> str:
        """Count a cleaned text, and return it."""
        if self._unknown is not None:
            self._total += len(text) - text.count(" ")
            if not text.isascii():
                self._others.append(text)
                if len(self._others) == _AT_ONCE:
                    self._encode()
        return text

    def counts(self) -> tuple[int, int]:
        """How many characters were lost so far, and of how many."""
        self._encode()
        return self._lost, self._total

    def warn(self) -> None:
        """Warn once if more than 1 % of the characters are lost."""
        if note := unknown_characters_note(*self.counts(), self.tokenizer.unk_token):
            warnings.warn(note, stacklevel=3)

    def _encode(self) -> None:
        if not self._others:
            return
        options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
        encoded = self.tokenizer(self._others, **options)
        self._others = []
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            found = zip(ids, offsets, strict=True)
            self._lost += sum(end - start for token, (start, end) in found if token == self._unknown)


def unknown_characters_note(lost: int, total: int, token: str) -> str:
    """Say that a model does not see some characters; empty up to 1 % of them."""
    if lost <= _MOST * total:
        return ""
    return (
        f"The backbone's vocabulary lacks {lost / total:.0%} of the characters of these texts (emoji or "
        f"another script), which become {token}: the model does not see them. The backbone smollm2 reads "
        "them (train with --backbone smollm2)."
    )


def warn_of_unknown_characters(tokenizer: Any, texts: Iterable[str]) -> None:
    """Warn once if a tokenizer cannot read more than 1 % of the characters of texts."""
    characters = UnknownCharacters(tokenizer)
    for text in texts:
        characters.add(text)
    characters.warn()
