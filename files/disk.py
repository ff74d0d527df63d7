"""Full disks, in plain words (each library that writes has an error of its own for them),
and names that stay in a folder.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..errors import EmoNetError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# PyTorch's archive writer does not say why; safetensors and Arrow quote the system.
_PHRASES = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed",
    "unexpected pos",
)


@contextmanager
def room_on_disk(place: str | Path, remedy: str) -> Iterator[None]:
    """Within, the error of a full disk becomes an EmoNetError that names the place and
    the remedy.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if is_full(error):
            raise EmoNetError(f"No space is left for {place}. Free some and {remedy}.") from error
        raise


def file_in(folder: Path, name: object) -> Path:
    """The file that a record in `folder` names; EmoNetError for a name that leads out of
    the folder.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise EmoNetError(
            f"{folder}: {name!r} is no name of a file in it; take it from where it was made, and only if you trust it."
        )
    return folder / name


def is_full(error: Exception) -> bool:
    """Whether an error says that a disk is full, or a quota used up."""
    return getattr(error, "errno", None) in _FULL or any(phrase in str(error) for phrase in _PHRASES)
