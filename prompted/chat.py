"""Render chats with a tokenizer's template, without today's date in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.exceptions import TemplateError

_DATE_FUNCTION = "strftime_now"
# A macro shadows transformers' function of that name. Llama's templates use this date too
# where they have no clock.
_FIXED_DATE = "{%- macro " + _DATE_FUNCTION + "(format) -%}26 Jul 2024{%- endmacro -%}"


def chat_text(tokenizer: Any, chat: Sequence[Mapping[str, str]], **options: Any) -> Any:
    """Return what `apply_chat_template` returns, with two differences.

    A template that writes today's date (Llama 3.2) always writes the same date: prompts,
    and with them the scores, must not change overnight. For a template without a system
    role (Gemma), the system message is put in front of the user's.

    Args:
        chat: Messages with `role` and `content`.
        options: Arguments of `apply_chat_template`.
    """
    template = tokenizer.get_chat_template()
    if _DATE_FUNCTION in template:
        options["chat_template"] = _FIXED_DATE + template
    try:
        return tokenizer.apply_chat_template(list(chat), **options)
    except TemplateError:
        system, user, *rest = chat
        if (system["role"], user["role"]) != ("system", "user"):
            raise
        merged = {**user, "content": f"{system['content']}\n\n{user['content']}"}
        return tokenizer.apply_chat_template([merged, *rest], **options)
