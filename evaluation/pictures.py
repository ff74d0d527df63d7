"""Figures as PNG of at most 256 colours: a third of the size, and a report holds many."""

import io
from pathlib import Path
from typing import Any

from PIL import Image


def save_picture(figure: Any, path: Path, dpi: int) -> None:
    """Write a matplotlib figure. What it says is in few colours, so nothing is lost to the eye."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, "png", optimize=True)
