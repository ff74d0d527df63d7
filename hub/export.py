"""Write a repository's handler, requirements and card beside its weights and code."""

import os
from pathlib import Path
from shutil import copyfile
from typing import Any

from .card import write_card
from .example import write_example
from .requirements import lower_bounds


def write_companions(folder: str | os.PathLike[str], model: Any = None) -> None:
    """Write `handler.py`, the endpoint's `requirements.txt` and the card into `folder`.

    Of a card that is there, only the generated parts are updated.

    Args:
        folder: The folder, with weights, code and configuration.
        model: The model that was just saved to it, for the card's example.
    """
    folder = Path(folder)
    for name in ("handler.py", "requirements.txt"):
        # A link points into the Hub's cache, whose files must not be changed.
        if (folder / name).is_symlink():
            (folder / name).unlink()
    copyfile(Path(__file__).with_name("handler.py"), folder / "handler.py")
    (folder / "requirements.txt").write_text("\n".join(lower_bounds()) + "\n", "utf-8")
    write_example(folder, model)
    write_card(folder)
