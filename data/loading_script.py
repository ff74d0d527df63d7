"""Write the builder of a corpus as a loading script, as datasets 3 takes it."""

import os
import sys
from pathlib import Path

from ..checkpoint.export import flat_code
from .conversations import ConversationBuilder


def write_loading_script(builder: type[ConversationBuilder], folder: str | os.PathLike[str]) -> Path:
    """Write a builder and the code it imports into `folder`, side by side.

    datasets 3 loads it where emonet is not installed: `load_dataset("FOLDER/meld.py",
    "dialogues", data_dir=..., trust_remote_code=True)`. Later versions take no scripts.

    Args:
        builder: The class of a known corpus: `EmoryNLP`, `EmoryNLPAligned` or `MELD`.

    Returns:
        The script.

    Raises:
        EmoNetError: for a builder whose code is not all there.
    """
    source = Path(str(sys.modules[builder.__module__].__file__)).resolve()
    entry, *others = code = flat_code(source)
    # A script gets those siblings that it imports itself, and not those that they import.
    named = [f"from .{name.removesuffix('.py')} import __name__ as _\n" for name in others]
    code[entry] = "".join([code[entry], "\n", *named])
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in code.items():
        Path(folder, source.name if name == entry else name).write_text(text, "utf-8")
    return Path(folder, source.name)
