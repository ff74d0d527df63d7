"""Utterances inside prompts: they stay data, whatever they say."""

import json
from typing import Any

from ..dialogue.turns import clean_text
from .chat import chat_text

_BRACKETS = set("<>[]{}|")


class Quoter:
    """Writes text so that it can neither end its quotation nor be read as a token of the
    prompt's own structure.

    Args:
        tokenizer: Its special and added tokens (`<|im_end|>`), and the marks that its
            chat template writes as plain text (`[/INST]`), are broken up where a text
            holds them.
    """

    def __init__(self, tokenizer: Any):
        known = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), *_template_marks(tokenizer)}
        self._special = sorted(
            (token for token in known if len(token) > 1), key=lambda token: (-len(token), token)
        )

    def __call__(self, text: str) -> str:
        """`text` as one JSON string on one line."""
        return json.dumps(self.plain(text), ensure_ascii=False)

    def plain(self, text: str) -> str:
        """`text` on one line, without special tokens and without runs of `#`, which frame
        the history.
        """
        text = clean_text(text)
        while True:
            before = text
            for token in self._special:
                text = text.replace(token, f"{token[0]} {token[1:]}")
            text = text.replace("###", "# # #")
            if text == before:
                return text


def _template_marks(tokenizer: Any) -> set[str]:
    """What a chat has beside what is said in it, as far as it is in brackets; words such
    as `user` are everybody's.
    """
    if tokenizer.chat_template is None:
        return set()
    said = "what is said"
    chat = [{"role": "system", "content": said}, {"role": "user", "content": said}]
    frame = chat_text(tokenizer, chat, tokenize=False, add_generation_prompt=True).replace(said, " ")
    return {mark for mark in frame.split() if _BRACKETS & set(mark)}
