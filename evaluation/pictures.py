"""Save figures as PNG with few colours, a fifth of the usual size."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

_COLOURS = 20


def save_picture(figure: Any, path: Path, dpi: int) -> None:
    """Write a matplotlib figure with a palette of 20 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    # MAXCOVERAGE also keeps rare colours, such as that of a thin line.
    Image.open(buffer).convert("RGB").quantize(
        _COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(path, "png", optimize=True)
