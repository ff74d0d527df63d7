"""Tell in a header of an answer how its request was read."""

import json
from collections.abc import Iterable, Mapping, Sequence

from ..dialogue.names import Speakers, speaker_kinds
from ..dialogue.reading import Reading
from ..dialogue.spellings import SpeakerNames

NAME = "Emonet-Reading"
_LONGEST = 4096  # bytes; servers refuse headers of some KiB
_CHARACTERS = 200  # of a name or note


def reading_header(
    reading: Reading,
    history: Mapping[str, Sequence[str]],
    speakers: Speakers = "auto",
    known: Iterable[str] = (),
) -> dict[str, str]:
    """Make the header that holds what `emonet predict` tells on stderr, as ASCII JSON.

    Args:
        reading: What was read.
        history: The utterances that the speakers of each said before.
        speakers: Who is a person, see [`speaker_kinds`].
        known: The persons that the model knows.

    Returns:
        The header, with `form`, `turns`, `dialogues`, `speakers` (turns by name, the most
        first) and `notes`: what was left out, who is a role, which spellings are one
        person. Of many long ones, the first are given.
    """
    kinds = speaker_kinds([*history, *reading.speakers], speakers, known)
    names = SpeakerNames(known, kinds, history=history, warn=False)
    for conversation in reading.conversations:
        names.turns(conversation.turns)
    decided = kinds.note().replace("--speakers ", "parameters.speakers ")
    notes = [*reading.notes, *filter(None, [decided]), *names.warnings]
    text = ""
    for most in (20, 8, 3, 0):
        value = {
            "form": reading.form,
            "turns": reading.speakers.total(),
            "dialogues": len(reading.conversations),
            "speakers": {_short(name): count for name, count in reading.speakers.most_common(most)},
            "notes": [_short(note) for note in notes[:most]],
        }
        text = json.dumps(value)
        if len(text) <= _LONGEST:
            break
    return {NAME: text}


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
