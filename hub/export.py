"""Write a repository's handler, requirements and card beside its weights and code."""

import os
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile

from .card import write_card

REQUIREMENTS = ("torch", "transformers")


def write_companions(folder: str | os.PathLike[str]) -> None:
    """Write `handler.py`, the endpoint's `requirements.txt` and the card into `folder`.

    Of a card that is there, only the generated parts are updated.
    """
    folder = Path(folder)
    for name in ("handler.py", "requirements.txt"):
        # A link points into the Hub's cache, whose files must not be changed.
        if (folder / name).is_symlink():
            (folder / name).unlink()
    copyfile(Path(__file__).with_name("handler.py"), folder / "handler.py")
    lines = [f"{name}>={version(name).partition('+')[0]}" for name in REQUIREMENTS]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")
    write_card(folder)
