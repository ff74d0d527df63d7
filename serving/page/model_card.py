"""Find the card of the model that the page shows."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...pretrained.models import built_in_path

_LARGEST = 200_000  # characters of a card
_METADATA = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class ModelCard:
    """Where a visitor reads what the model is.

    Attributes:
        text: The card as Markdown, without its metadata; empty if there is none here.
        url: The model's page on the Hub; empty for a folder.
    """

    text: str = ""
    url: str = ""

    @classmethod
    def of(cls, checkpoint: str | Path) -> "ModelCard":
        """Return the card of a folder, or the Hub page of a Hub id."""
        folder = Path(built_in_path(str(checkpoint)))
        if not folder.is_dir():
            return cls(url=f"https://huggingface.co/{checkpoint}")
        try:
            text = (folder / "README.md").read_text("utf-8", "replace")
        except OSError:
            return cls()
        text = _COMMENT.sub("", _METADATA.sub("", text)).strip()
        return cls(text if len(text) <= _LARGEST else f"{text[:_LARGEST]} …")
