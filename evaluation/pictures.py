"""Save figures as PNG with few colours, a fifth of the usual size."""

import io
from collections.abc import Sequence
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


def stack_pictures(parts: Sequence[Path], path: Path) -> None:
    """Put pictures below each other into one, and delete them."""
    pictures = [Image.open(part).convert("RGB") for part in parts]
    size = (max(picture.width for picture in pictures), sum(picture.height for picture in pictures))
    canvas = Image.new("RGB", size, "white")
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height
    colours = _COLOURS * len(pictures)
    canvas.quantize(colours, dither=Image.Dither.NONE).save(path, "png", optimize=True)
    for part in parts:
        part.unlink()
