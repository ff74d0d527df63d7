"""Write the builder of a corpus as a loading script for datasets 3."""

import os
import sys
from pathlib import Path

from ..checkpoint.flatten import flat_code
from .conversations import ConversationBuilder


def write_loading_script(builder: type[ConversationBuilder], folder: str | os.PathLike[str]) -> Path:
    """Write a builder and the code it imports into one folder.

    datasets 3 loads it without emonet installed: `load_dataset("FOLDER/meld.py",
    "dialogues", data_dir=..., trust_remote_code=True)`. Later versions load no scripts.

    Args:
        builder: The class of a known corpus, for example `MELD`.
        folder: Where to write the files; it is created if missing.

    Returns:
        The path of the script.

    Raises:
        EmoNetError: if some of the builder's code is missing.
    """
    source = Path(str(sys.modules[builder.__module__].__file__)).resolve()
    entry, *others = code = flat_code(source)
    # datasets copies only the siblings that the script imports itself, not their imports.
    imports = [f"from .{name.removesuffix('.py')} import __name__ as _\n" for name in others]
    code[entry] = "".join([code[entry], "\n", *imports])
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in code.items():
        Path(folder, source.name if name == entry else name).write_text(text, "utf-8")
    return Path(folder, source.name)
