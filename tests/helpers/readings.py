"""Show what the reader makes of a file, as the documentation prints it."""

from pathlib import Path

from emonet.dialogue.reader import read_source
from emonet.engines.prediction_input import open_input
from emonet.errors import DataFormatError


def shown_reading(path: Path) -> str:
    """Write what `emonet predict` says of a file, and the turns, a dialogue a paragraph.

    Args:
        path: A file of conversations; for one that is refused, the error is written.
    """
    try:
        with open_input(str(path)) as source:
            lines = [source.summary()]
    except DataFormatError as error:
        return f"emonet: {error}\n".replace(f"{path.parent}/", "")
    for index, conversation in enumerate(read_source(str(path)).conversations):
        lines += [""] * (index > 0)
        lines += [f"  {turn['speaker']} | {turn['text']}".rstrip() for turn in conversation.turns]
    return "\n".join(lines) + "\n"
