"""Read scripts: a name, a colon and a text on each line."""

from ..errors import DataFormatError
from .reading import Conversation, Reading
from .turns import script_line


def read(text: str, name: str) -> Reading:
    """Read `Name: text` lines; a blank line ends a dialogue.

    Raises:
        DataFormatError: naming the line that has no speaker.
    """
    dialogues: list[list[dict[str, str]]] = [[]]
    for line_number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if dialogues[-1]:
                dialogues.append([])
            continue
        turn = script_line(line)
        if turn is None:
            raise DataFormatError(f"{name}, line {line_number}: no `Name: text` in {line.strip()[:60]!r}.")
        dialogues[-1].append(turn)
    found = [turns for turns in dialogues if turns]
    return Reading("script", [Conversation(str(index), turns) for index, turns in enumerate(found)])
