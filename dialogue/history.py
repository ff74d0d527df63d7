"""Compute each speaker's history without leakage between the splits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import DataFormatError
from .names import AUTO, SpeakerKinds
from .spellings import SpeakerNames
from .tables.rows import Dialogue

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


def turn_rows(
    dialogues: Sequence[Dialogue], histories: Sequence[Sequence[Sequence[int]]], labels: Sequence[str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the turns of each dialogue as rows, with label ids and indices of utterances.

    Args:
        dialogues: In chronological order.
        histories: Those of [`speaker_histories`].
        labels: The names of the labels, in order of their ids.
    """
    index = 0
    for dialogue, history in zip(dialogues, histories, strict=True):
        rows: list[dict[str, Any]] = []
        for turn, earlier in zip(dialogue.turns, history, strict=True):
            rows.append(
                {
                    "speaker": turn.speakers[0],
                    "speakers": list(turn.speakers),
                    "text": turn.text,
                    # Encode the label here: datasets encodes no label name in a list
                    # whose first turn has none.
                    "emotion": None if turn.emotion is None else labels.index(turn.emotion),
                    "utterance_index": index,
                    "speaker_history_index": earlier,
                }
            )
            index += 1
        yield rows


def named_alike(
    dialogues: Sequence[Dialogue], kinds: SpeakerKinds, known: Iterable[str] = ()
) -> list[Dialogue]:
    """Give each person one name, however it is spelled, and known ones the known name."""
    names = SpeakerNames(known, kinds)
    renamed = []
    for dialogue in dialogues:
        names.start_dialogue()
        turns = [
            replace(turn, speakers=(names.of(turn.speakers[0]), *turn.speakers[1:]))
            for turn in dialogue.turns
        ]
        renamed.append(replace(dialogue, turns=turns))
    return renamed
