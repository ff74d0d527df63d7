"""Save a built-in model as a folder of its own, to publish it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

from ..modeling_emonet import EmoNetForSequenceClassification
from ..pretrained.models import MODELS, built_in_path, is_built_in

# What the card is made from, and a save of the model does not write.
_RECORDS = ("run.json", "metrics.json", "test_metrics.json")


@contextmanager
def publishable(model: str | Path) -> Iterator[str]:
    """Give the folder of a model; a built-in one is saved with its tokenizer and code.

    Args:
        model: A run folder, a Hub id, which stays as it is, or a built-in model.

    Yields:
        The folder, for a built-in model a temporary one.
    """
    path = Path(built_in_path(str(model)))
    if not is_built_in(path):
        yield str(model)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / MODELS[path.name].name
        folder.mkdir()
        for name in _RECORDS:
            copyfile(path / name, folder / name)
        EmoNetForSequenceClassification.from_pretrained(path).save_pretrained(folder)
        yield str(folder)
