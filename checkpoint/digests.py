"""Digests of a checkpoint's files: a flipped bit in a weight would otherwise be another prediction and nothing said."""

import json
import os
from pathlib import Path

from transformers.utils import logging

from ..errors import EmoNetError
from ..files.guard import file_digest, read_json

logger = logging.get_logger(__name__)

DIGESTS_FILE = "digests.json"
# Nobody edits these by hand, and none of them shows that it was damaged.
_BINARY = (".safetensors", "tokenizer.json")
# These people do edit, so a difference is only told.
_TEXT = (
    "config.json",
    "speakers.json",
    "concepts.json",
    "biographies.json",
    "demonstrations.json",
    "chat_template.jinja",
)


def write_digests(folder: str | os.PathLike[str]) -> None:
    """Write the digests of the files in `folder` that decide a prediction."""
    files = sorted(
        path for path in Path(folder).iterdir() if path.name.endswith((*_BINARY, *_TEXT)) and path.is_file()
    )
    digests = {path.name: file_digest(path) for path in files}
    Path(folder, DIGESTS_FILE).write_text(json.dumps(digests, indent=1) + "\n", "utf-8")


def check_digests(folder: str | os.PathLike[str]) -> None:
    """Compare the files of `folder` with the digests that were written beside them; a folder without digests passes.

    Raises:
        EmoNetError: for weights or a tokenizer that are not the ones that were saved.
    """
    file = Path(folder, DIGESTS_FILE)
    if not file.is_file():
        return
    try:
        digests = read_json(file)
        names = [name for name in digests if Path(folder, Path(name).name).is_file()]
    except (ValueError, TypeError) as error:
        raise EmoNetError(
            f"{file} can't be read ({error}): copy the checkpoint anew, or delete the file."
        ) from error
    for name in names:
        path = Path(folder, Path(name).name)  # no way out of the folder
        if file_digest(path) == digests[name]:
            continue
        if name.endswith(_TEXT):
            logger.warning(f"{path} was changed since it was saved.")
            continue
        raise EmoNetError(
            f"{path} is damaged, or was changed after it was saved: its digest is not the one in {DIGESTS_FILE}. Copy the "
            f"checkpoint anew; if the change is meant, delete {DIGESTS_FILE}."
        )
