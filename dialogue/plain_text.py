"""Read scripts: a name, a colon and a text on each line."""

from ..errors import DataFormatError
from .reading import Conversation, Reading

LONGEST_NAME = 80  # characters before the first colon of a line


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
        turn = _line_turn(line)
        if turn is None:
            raise DataFormatError(f"{name}, line {line_number}: no `Name: text` in {line.strip()[:60]!r}.")
        dialogues[-1].append(turn)
    found = [turns for turns in dialogues if turns]
    if all(len(turns) == 1 for turns in found):  # double spacing
        found = [[turn for turns in found for turn in turns]]
    return Reading("script", [Conversation(str(index), turns) for index, turns in enumerate(found)])


def _line_turn(line: str) -> dict[str, str] | None:
    name, colon, text = line.rstrip("\r").partition(":")
    name = name.strip()
    if not colon or not name or len(name) > LONGEST_NAME:
        return None
    return {"speaker": name, "text": text[1:] if text[:1].isspace() else text}
