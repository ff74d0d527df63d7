"""Report full disks in plain words, and keep file names inside their folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..errors import EmoNetError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# PyTorch's archive writer gives no reason; safetensors and Arrow quote the system.
_PHRASES = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed",
    "unexpected pos",
)


@contextmanager
def room_on_disk(location: str | Path, remedy: str) -> Iterator[None]:
    """Turn the error of a full disk into an EmoNetError with the location and the remedy.

    Every library that writes files raises an error of its own.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if is_full(error):
            raise EmoNetError(f"No space is left for {location}. Free some and {remedy}.") from error
        raise


def file_in(folder: Path, name: object) -> Path:
    """The file that a record in `folder` names.

    Raises:
        EmoNetError: for a name that leads out of the folder.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise EmoNetError(
            f"{folder}: {name!r} is not the name of a file in it; copy the folder from its source again, "
            "and only if you trust it."
        )
    return folder / name


def is_full(error: Exception) -> bool:
    """Whether an error means a full disk or an exhausted quota."""
    return getattr(error, "errno", None) in _FULL or any(phrase in str(error) for phrase in _PHRASES)
