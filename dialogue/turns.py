"""Take speakers, texts and labels from lists of turns."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

from ..files.text import clean
from .names import clean_name
from .tables.columns import names_in


def is_dialogue(value: Any) -> bool:
    """Whether `value` is one dialogue, not a batch; an empty list is a dialogue."""
    if isinstance(value, (str, Mapping)):
        return True
    return isinstance(value, (list, tuple)) and all(
        isinstance(item, Mapping) and "turns" not in item for item in value
    )


def recent_history(
    history: Mapping[str, Sequence[str]] | None, window: int, speakers: Iterable[str] | None = None
) -> dict[str, list[str]]:
    """Keep each speaker's last `window` utterances, under the cleaned name.

    Args:
        history: Utterances by name, oldest first, or None.
        window: How many utterances to keep.
        speakers: Cleaned names of the speakers to keep; by default all.
    """
    recent: dict[str, list[str]] = {}
    kept = None if speakers is None else set(speakers)
    for name, texts in (history or {}).items():
        name = clean_name(name)
        if kept is None or name in kept:
            recent.setdefault(name, []).extend(texts[-window:])
    return {name: texts[-window:] for name, texts in recent.items()}


def dialogue_memory_index(
    turns: Sequence[Mapping[str, Any]],
    window: int,
    start: int = 0,
    history: dict[str, list[int]] | None = None,
) -> list[list[int]]:
    """List each turn's rows of the memory table: its speaker's earlier utterances.

    Args:
        turns: One dialogue, whose turns are the table's rows from `start` on.
        window: How many rows a turn may have.
        start: The row of the first turn.
        history: Rows of earlier dialogues by speaker; this dialogue's are added to it.
            Without it the dialogue stands alone.

    Returns:
        For each turn, its speaker's last `window` earlier rows, oldest first.
    """
    history = {} if history is None else history
    memory = []
    for row, name in enumerate(speaker_names(turns), start):
        earlier = history.setdefault(name, [])
        memory.append(earlier[-window:])
        earlier.append(row)
    return memory


def plain_turn(turn: Any, index: int = 0) -> dict[str, Any]:
    """Take the primary speaker and the text of a turn, and its `known_emotion` if any."""
    plain = {"speaker": turn_speaker(turn, index), "text": raw_text(turn, index)}
    known = turn.get("known_emotion")
    return plain if known is None else {**plain, "known_emotion": known}


def turn_speaker(turn: Mapping[str, Any], index: int = 0) -> str:
    """The name under `speaker` (or `role`); of several, the primary (first) one."""
    if not isinstance(turn, Mapping):
        raise TypeError(
            f'Turn {index} is {type(turn).__name__}, not {{"speaker", "text"}} or {{"role", "content"}}.'
        )
    speaker = turn.get("speaker", turn.get("role"))
    if not isinstance(speaker, str):
        speaker = next(iter(names_in(speaker)), None)
    if not isinstance(speaker, str):
        raise ValueError(f"Turn {index} has no speaker: give a name under 'speaker' (or 'role').")
    return speaker


def raw_text(turn: Mapping[str, Any], index: int = 0) -> str:
    """The text under `text` (or `content`), unchanged; it may be empty."""
    text = turn.get("text", turn.get("content"))
    if not isinstance(text, str):
        raise ValueError(f"Turn {index} has no text: give it under 'text' (or 'content') as a string.")
    return text


def clean_text(text: str) -> str:
    """Clean a text as the corpora do, with runs of blanks as one: one turn, one line."""
    return " ".join(clean(text).split())


def speaker_names(turns: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cleaned name of each turn's primary speaker.

    Raises:
        TypeError: for turns that are not a list, or a turn that is not a mapping.
        ValueError: for a turn without speaker.
    """
    if not isinstance(turns, (list, tuple)):
        raise TypeError(f"A dialogue is a list of turns; got {type(turns).__name__}.")
    return [clean_name(turn_speaker(turn, index)) for index, turn in enumerate(turns)]


def turn_text(turn: Mapping[str, Any], index: int = 0) -> str:
    """The cleaned text under `text` (or `content`); it may be empty."""
    return clean_text(raw_text(turn, index))


def turn_label(turn: Mapping[str, Any], label_names: Sequence[str], index: int = 0) -> int | None:
    """The id of the label under `emotion`, given as a name or an id; None without one."""
    emotion = turn.get("emotion")
    if emotion is None:
        return None
    if isinstance(emotion, str):
        if emotion not in label_names:
            raise ValueError(
                f"Turn {index}: unknown emotion {emotion!r}; the labels are {list(label_names)}."
            )
        return label_names.index(emotion)
    if not isinstance(emotion, Integral) or not 0 <= int(emotion) < len(label_names):
        raise ValueError(
            f"Turn {index}: label {emotion!r} is neither a label's name nor an id in "
            f"0..{len(label_names) - 1}."
        )
    return int(emotion)


def given_speaker_id(turn: Mapping[str, Any], index: int = 0) -> int | None:
    """The global id under `speaker_id`; None without one."""
    speaker_id = turn.get("speaker_id")
    if speaker_id is not None and not isinstance(speaker_id, Integral):
        raise ValueError(
            f"Turn {index}: speaker_id {speaker_id!r} is not an id; give a whole number, or leave it out "
            "to use the name."
        )
    return None if speaker_id is None else int(speaker_id)
