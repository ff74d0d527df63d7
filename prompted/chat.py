"""Chats as a tokenizer's template writes them, the same on every day and for every
template.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.exceptions import TemplateError

_TODAY = "strftime_now"
# The day that Llama's templates fall back on, in place of transformers' own function.
_ANY_DAY = "{%- macro " + _TODAY + "(format) -%}26 Jul 2024{%- endmacro -%}"


def chat_text(tokenizer: Any, chat: Sequence[Mapping[str, str]], **options: Any) -> Any:
    """What `apply_chat_template` gives, with two of its traps taken away.

    A template that writes today's date (Llama 3.2) writes the same day always: prompts,
    and with them scores, would change overnight. Where a template knows no system role
    (Gemma), its words stand in front of the user's.

    Args:
        chat: Messages, `role` and `content`. options: Of `apply_chat_template`.
    """
    template = tokenizer.get_chat_template()
    if _TODAY in template:
        options["chat_template"] = _ANY_DAY + template
    try:
        return tokenizer.apply_chat_template(list(chat), **options)
    except TemplateError:
        system, user, *rest = chat
        if (system["role"], user["role"]) != ("system", "user"):
            raise
        told = {**user, "content": f"{system['content']}\n\n{user['content']}"}
        return tokenizer.apply_chat_template([told, *rest], **options)
