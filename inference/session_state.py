"""What the files of a saved session may hold: they are read as input, and a wrong one
must not show as a wrong emotion.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from ..files.guard import read_json

VERSION = 1


def read_state(file: Path, model: str, keys: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of a session's JSON file.

    Args:
        model: The name of the model that it is restored on. keys / optional: The fields,
            besides `version` and `model`.

    Raises:
        EmoNetError: for a file that is missing or none, another version, another model, a
            field that is missing or unknown.
    """
    try:
        state = read_json(file)
    except OSError as error:
        raise EmoNetError(f"{file.parent}: no saved session ({error}).") from error
    expect(isinstance(state, dict), f"it holds no object but a {type(state).__name__}")
    needed = {"version", "model", *keys}
    if missing := sorted(needed - set(state)):
        raise EmoNetError(f"{file.parent}: no saved session ({file.name} has no {missing[0]!r}).")
    expect(state["version"] == VERSION, f"version {state['version']!r:.40}, and this emonet reads {VERSION}")
    unknown = sorted(set(state) - needed - set(optional))
    expect(not unknown, f"unknown field {unknown[:1]!r:.80}")
    if state["model"] != model:
        raise EmoNetError(
            f"{file.parent}: the session of another model; restore it on the one it was saved with."
        )
    return state


def expect(holds: bool, otherwise: str) -> None:
    """Raise EmoNetError, saying what is wrong, unless it holds."""
    if not holds:
        raise EmoNetError(f"a saved session that is damaged or was changed: {otherwise}; start a new one")


def whole(value: Any, what: str, low: int = 0, below: float = float("inf")) -> int:
    """A whole number from `low` to under `below`."""
    holds = isinstance(value, int) and not isinstance(value, bool) and low <= value < below
    expect(holds, f"{what} is {value!r:.40}")
    return int(value)


def wholes(value: Any, what: str, below: float = float("inf")) -> list[int]:
    """A list of whole numbers from 0 to under `below`."""
    expect(isinstance(value, list), f"{what} is no list")
    return [whole(each, what, 0, below) for each in value]


def strings_by_name(value: Any, what: str) -> dict[str, list[str]]:
    """An object of lists of strings."""
    expect(isinstance(value, dict), f"{what} is no object")
    for texts in value.values():
        expect(
            isinstance(texts, list) and all(isinstance(text, str) for text in texts),
            f"{what} holds what is no text",
        )
    return value
