"""Prepare docstrings for the reference; an extension of mkdocstrings."""

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Show [`name`] as code, and treat `Example:` as the section `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            text = re.sub(r"\[(`[^`]+`)\](?![\[(])", r"\1", obj.docstring.value)
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
