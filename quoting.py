"""Utterances inside prompts: they stay data, whatever they say."""

import json
from typing import Any

from .dialogue_input import clean_text


class Quoter:
    """Writes text so that it can neither end its quotation nor be read as a token of the prompt's own structure.

    Args:
        tokenizer: Its special and added tokens (`<|im_end|>`) are broken up where a text holds them.
    """

    def __init__(self, tokenizer: Any):
        known = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        self._special = sorted((token for token in known if len(token) > 1), key=lambda token: (-len(token), token))

    def __call__(self, text: str) -> str:
        """`text` as one JSON string on one line."""
        return json.dumps(self.plain(text), ensure_ascii=False)

    def plain(self, text: str) -> str:
        """`text` on one line, without special tokens and without runs of `#`, which frame the history."""
        text = clean_text(text)
        while True:
            before = text
            for token in self._special:
                text = text.replace(token, f"{token[0]} {token[1:]}")
            text = text.replace("###", "# # #")
            if text == before:
                return text
