"""Compute each speaker's history without leakage between the splits."""

from collections.abc import Sequence

from ..dialogue.names import AUTO, SpeakerKinds
from ..dialogue.tables.rows import Dialogue
from ..errors import DataFormatError

SCOPES = ("corpus", "dialogue", "none")


def speaker_histories(
    dialogues: Sequence[Dialogue], window: int, scope: str, kinds: SpeakerKinds = AUTO
) -> list[list[list[int]]]:
    """Indices of the speaker's last earlier utterances for each turn of each dialogue.

    They are ordered from oldest to newest. A train turn's history holds train utterances
    only; a validation or test turn's holds train and its own split's. A turn of several
    people belongs to its first speaker. Labels are never used.

    Args:
        dialogues: In chronological order. An utterance's index is its position in them.
        window: The largest number of utterances in a history.
        scope: `corpus` (all earlier dialogues), `dialogue` (this one only) or `none`.
        kinds: Which speakers are roles of their dialogue.

    Raises:
        DataFormatError: for an unknown scope or a window below 1.
    """
    if scope not in SCOPES:
        raise DataFormatError(f"history_scope={scope!r} is not one of {', '.join(SCOPES)}.")
    if window < 1:
        raise DataFormatError("history_window must be at least 1; for no history use history_scope='none'.")
    visible: dict[str, dict[str, list[int]]] = {}  # reading split → identity → indices
    readers = ("train", *sorted({dialogue.split for dialogue in dialogues} - {"train"}))
    histories, index = [], 0
    for dialogue in dialogues:
        rows = []
        for turn in dialogue.turns:
            key = kinds.identity(turn.speakers[0], dialogue.dialogue_id)
            if scope == "dialogue":
                key = f"{key}@{dialogue.split}@{dialogue.dialogue_id}"
            earlier = visible.setdefault(dialogue.split, {}).get(key, [])
            rows.append([] if scope == "none" else earlier[-window:])
            for reader in readers if dialogue.split == "train" else (dialogue.split,):
                visible.setdefault(reader, {}).setdefault(key, []).append(index)
            index += 1
        histories.append(rows)
    return histories
