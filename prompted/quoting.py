"""Quote utterances in prompts, so that they stay data whatever they say."""

import json
from typing import Any

from ..dialogue.turns import clean_text
from .chat import chat_text

_BRACKETS = set("<>[]{}|")


class Quoter:
    """Writes text that cannot end its quotation or pass for a token of the prompt.

    Args:
        tokenizer: Its special and added tokens (`<|im_end|>`), and the marks that its
            chat template writes as plain text (`[/INST]`), are broken up in a text.
    """

    def __init__(self, tokenizer: Any):
        marks = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), *_template_marks(tokenizer)}
        self._marks = sorted((mark for mark in marks if len(mark) > 1), key=lambda mark: (-len(mark), mark))

    def __call__(self, text: str) -> str:
        """Return `text` as one JSON string on one line."""
        return json.dumps(self.plain(text), ensure_ascii=False)

    def plain(self, text: str) -> str:
        """Return `text` on one line, without special tokens and without `###`.

        Runs of `#` frame the history.
        """
        text = clean_text(text)
        while True:  # breaking up one mark can complete another: `[SEP[SEP]]`
            before = text
            for mark in self._marks:
                text = text.replace(mark, f"{mark[0]} {mark[1:]}")
            text = text.replace("###", "# # #")
            if text == before:
                return text


def _template_marks(tokenizer: Any) -> set[str]:
    """Return the words with brackets that the chat template adds to a chat."""
    if tokenizer.chat_template is None:
        return set()
    # Without brackets (`user`) they are ordinary words, which utterances may hold.
    content = "what is said"
    chat = [{"role": "system", "content": content}, {"role": "user", "content": content}]
    frame = chat_text(tokenizer, chat, tokenize=False, add_generation_prompt=True).replace(content, " ")
    return {mark for mark in frame.split() if _BRACKETS & set(mark)}
