"""Docstrings as the reference shows them; an extension of mkdocstrings (`mkdocs.yml`)."""

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Names are written as [`name`] for editors, and examples under a singular; pages
    show the name, and code.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            text = re.sub(r"\[(`[^`]+`)\](?![\[(])", r"\1", obj.docstring.value)
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
