"""What each speaker said before: the history columns, and the rule that keeps the splits
apart.
"""

from collections.abc import Sequence

from ..dialogue.names import identity
from ..dialogue.rows import Dialogue
from ..errors import DataFormatError

SCOPES = ("corpus", "dialogue", "none")


def speaker_histories(dialogues: Sequence[Dialogue], window: int, scope: str) -> list[list[list[int]]]:
    """For each dialogue and turn, the indices of its speaker's last `window` earlier
    utterances, oldest first.

    `dialogues` stand in order of time; an utterance's index is its position in them. A
    train turn's history holds train utterances only; a validation or test turn's holds
    train and its own split's. Several people's turn belongs to the
    primary speaker. Text only: no label takes part.

    Args:
        scope: `corpus` (all earlier dialogues), `dialogue` (this one only) or `none`.
    """
    if scope not in SCOPES:
        raise DataFormatError(f"history_scope={scope!r} is not one of {', '.join(SCOPES)}.")
    if window < 1:
        raise DataFormatError("history_window must be at least 1; for no history use history_scope='none'.")
    said: dict[str, dict[str, list[int]]] = {}  # reader split → identity → indices it may see
    readers = ("train", *sorted({dialogue.split for dialogue in dialogues} - {"train"}))
    histories, index = [], 0
    for dialogue in dialogues:
        rows = []
        for turn in dialogue.turns:
            key = identity(turn.speakers[0], dialogue.dialogue_id)
            if scope == "dialogue":
                key = f"{key}@{dialogue.split}@{dialogue.dialogue_id}"
            seen = said.setdefault(dialogue.split, {}).get(key, [])
            rows.append([] if scope == "none" else seen[-window:])
            for reader in readers if dialogue.split == "train" else (dialogue.split,):
                said.setdefault(reader, {}).setdefault(key, []).append(index)
            index += 1
        histories.append(rows)
    return histories
