"""What people hand over as a dialogue or as a history → plain turns, with errors that
name the place.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .names import is_role

LONGEST_NAME = 80  # characters before the first colon of a line

_FORMS = 'a list of {"speaker", "text"} or {"role", "content"} turns, a string of `Name: text` lines, or {"turns": [...]}'


def is_dialogue(value: Any) -> bool:
    """Whether `value` is one dialogue rather than a batch of them; an empty list is a
    dialogue without turns.
    """
    if isinstance(value, (str, Mapping)):
        return True
    return isinstance(value, (list, tuple)) and all(
        isinstance(item, Mapping) and "turns" not in item for item in value
    )


def as_turns(value: Any) -> list[dict[str, str]]:
    """One dialogue in any of its forms → `{"speaker", "text"}` for every turn, in order.

    Raises:
        TypeError: for something that is no dialogue. ValueError: for a turn or line
            without speaker or text.
    """
    if isinstance(value, str):
        return script_turns(value)
    if isinstance(value, Mapping):
        if "turns" not in value:
            raise TypeError(
                f"A dialogue is {_FORMS}; this is one turn or row with the keys {', '.join(map(str, value))}."
            )
        if isinstance(value["turns"], Mapping):
            raise TypeError(f'"turns" holds {_FORMS.partition(", or {")[0]}, not an object.')
        return as_turns(value["turns"])
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"A dialogue is {_FORMS}; got {type(value).__name__}.")
    return [_turn(turn, place) for place, turn in enumerate(value)]


def script_turns(script: str) -> list[dict[str, str]]:
    """`Name: text` lines → turns; blank lines are skipped."""
    turns = []
    for number, line in enumerate(script.split("\n"), 1):
        if not line.strip():
            continue
        turn = script_line(line)
        if turn is None:
            raise ValueError(f"Line {number}: no `Name: text` in {line.strip()[:60]!r}.")
        turns.append(turn)
    return turns


def script_line(line: str) -> dict[str, str] | None:
    """A line as a turn; None where it is not `Name: text`."""
    name, colon, text = line.rstrip("\r").partition(":")
    name = name.strip()
    if not colon or not name or len(name) > LONGEST_NAME:
        return None
    return {"speaker": name, "text": text[1:] if text[:1].isspace() else text}


def as_history(value: Any) -> dict[str, list[str]]:
    """What speakers said in earlier dialogues → name: utterances, oldest first.

    Args:
        value: None, a mapping of names to utterances, or a list of earlier dialogues in
            order of time. Roles (`The Waiter`, `user`) are other people in every dialogue
            and are left out.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping) and "turns" not in value:
        for name, texts in value.items():
            if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
                raise TypeError(f"history[{name!r}] must be a list of strings, oldest first.")
        return {str(name): list(texts) for name, texts in value.items()}
    if not is_dialogue(value) and not isinstance(value, (list, tuple)):
        raise TypeError(
            f"history is {{name: [utterance, ...]}} or a list of earlier dialogues; got {type(value).__name__}."
        )
    said: dict[str, list[str]] = {}
    for dialogue in [value] if is_dialogue(value) else value:
        for turn in as_turns(dialogue):
            if not is_role(turn["speaker"]):
                said.setdefault(turn["speaker"], []).append(turn["text"])
    return said


def recent_history(
    history: Mapping[str, Sequence[str]] | None, window: int, speakers: Iterable[str] | None = None
) -> dict[str, list[str]]:
    """Of a history what can be read: each speaker's last `window` utterances, under the
    cleaned name.

    Args:
        speakers: Cleaned names of those who speak; by default everyone.
    """
    said: dict[str, list[str]] = {}
    wanted = None if speakers is None else set(speakers)
    for name, texts in (history or {}).items():
        name = clean_text(name)
        if wanted is None or name in wanted:
            said.setdefault(name, []).extend(texts[-window:])
    return {name: texts[-window:] for name, texts in said.items()}


def _turn(turn: Any, place: int) -> dict[str, str]:
    return {"speaker": turn_speaker(turn, place), "text": raw_text(turn, place)}


def turn_speaker(turn: Mapping[str, Any], place: int = 0) -> str:
    """The name under `speaker` (or `role`); of several people at once, the first is the
    primary speaker.
    """
    if not isinstance(turn, Mapping):
        raise TypeError(
            f'Turn {place} is {type(turn).__name__}, not {{"speaker", "text"}} or {{"role", "content"}}.'
        )
    speaker = turn.get("speaker", turn.get("role"))
    if isinstance(speaker, Sequence) and not isinstance(speaker, str) and speaker:
        speaker = speaker[0]
    if not isinstance(speaker, str):
        raise ValueError(f"Turn {place} has no speaker: give a name under 'speaker' (or 'role').")
    return speaker


def raw_text(turn: Mapping[str, Any], place: int = 0) -> str:
    """The text under `text` (or `content`) as it came; empty text is legal."""
    text = turn.get("text", turn.get("content"))
    if not isinstance(text, str):
        raise ValueError(f"Turn {place} has no text: give it under 'text' (or 'content') as a string.")
    return text


def clean_text(text: str) -> str:
    """`text` with control characters as blanks and runs of blanks as one, so that it
    stays one turn on one line.
    """
    kept = (" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
    return " ".join("".join(kept).split())


def turn_text(turn: Mapping[str, Any], place: int = 0) -> str:
    """The cleaned text of a turn (`text` or `content`); empty text is legal."""
    return clean_text(raw_text(turn, place))
