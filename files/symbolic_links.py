"""Symbolic links that lead out of a folder: what is published or written through them is a file of somewhere else."""

import os
from pathlib import Path

from ..errors import EmoNetError


def refuse_outside_links(folder: str | os.PathLike[str], *, cached: bool = False) -> None:
    """Refuse a folder with a symbolic link that leads out of it, at any depth; the folder itself may be one.

    Args:
        folder: May be missing; then nothing is in it.
        cached: Let the links of a snapshot in the Hub's cache pass, which lead to the files of the same repository
            (`snapshots/REVISION/NAME` → `blobs/DIGEST`). They may be read, never written through.

    Raises:
        EmoNetError: naming the link and where it leads.
    """
    root = Path(folder).resolve()
    blobs = root.parent.parent / "blobs" if cached and root.parent.name == "snapshots" else None
    for place, folders, files in os.walk(root):  # which follows no links
        for path in (Path(place, name) for name in sorted(folders + files)):
            if not path.is_symlink():
                continue
            target = Path(os.path.realpath(path))  # of a loop too, for which Path.resolve has no answer
            if not target.is_relative_to(root) and (blobs is None or target.parent != blobs):
                raise EmoNetError(
                    f"{Path(folder) / path.relative_to(root)} is a symbolic link that leads out of the folder, to {target}: "
                    "put a copy of the file in its place, or delete the link."
                )
