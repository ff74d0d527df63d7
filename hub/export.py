"""The files of a repository that stand beside weights and code: handler, requirements,
card.
"""

import os
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile

from .card import write_card

REQUIREMENTS = ("torch", "transformers")


def write_companions(folder: str | os.PathLike[str]) -> None:
    """Write `handler.py`, `requirements.txt` (of the endpoint) and `README.md` (its
    generated parts) into `folder`.
    """
    folder = Path(folder)
    for name in ("handler.py", "requirements.txt"):
        if (folder / name).is_symlink():  # of a snapshot in the Hub's cache, whose file is not ours to change
            (folder / name).unlink()
    copyfile(Path(__file__).with_name("handler.py"), folder / "handler.py")
    lines = [f"{name}>={version(name).partition('+')[0]}" for name in REQUIREMENTS]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")
    write_card(folder)
