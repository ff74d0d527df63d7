"""Pad examples of different lengths to the tensors of a batch."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch


def pad_rows(rows: Sequence[Sequence[int]], length: int, value: int) -> torch.Tensor:
    """Pad rows of whole numbers to a tensor (rows, length), filled with `value`."""
    tensor = torch.full((len(rows), length), value, dtype=torch.long)
    for index, row in enumerate(rows):
        if len(row):
            tensor[index, : len(row)] = torch.tensor(row, dtype=torch.long)
    return tensor


def pad_vectors(examples: Sequence[Mapping[str, Any]], turns: int) -> torch.Tensor:
    """Pad the `turn_embeds` (T, H) of examples to (B, turns, H) with zeros."""
    embeds = torch.zeros(len(examples), turns, examples[0]["turn_embeds"].shape[-1])
    for row, example in enumerate(examples):
        embeds[row, : len(example["turn_embeds"])] = torch.from_numpy(np.array(example["turn_embeds"]))
    return embeds


def pad_tokens(
    examples: Sequence[Mapping[str, Any]], turns: int, pad_token_id: int, per_turn: bool, read_mask: bool
) -> dict[str, torch.Tensor]:
    """Pad the tokens of windows to `input_ids`, `attention_mask` and `turn_ids` (S, L).

    Args:
        examples: Windows.
        turns: The most turns of a window.
        pad_token_id: The padding.
        per_turn: Whether a window holds a sequence for each turn; `sequence_index` (B,
            turns) then says which.
        read_mask: Whether to add the `read_mask` (S, L).
    """
    sequences = [example["input_ids"] for example in examples]
    turn_ids = [example["turn_ids"] for example in examples]
    batch = {}
    if per_turn:
        ends = list(accumulate(len(rows) for rows in sequences))
        index = [range(end - len(rows), end) for rows, end in zip(sequences, ends, strict=True)]
        batch["sequence_index"] = pad_rows(index, turns, -1)
        sequences = [ids for rows in sequences for ids in rows]
        turn_ids = [ids for rows in turn_ids for ids in rows]
    length = max(len(ids) for ids in sequences)
    batch["input_ids"] = pad_rows(sequences, length, pad_token_id)
    batch["attention_mask"] = pad_rows([[1] * len(ids) for ids in sequences], length, 0)
    batch["turn_ids"] = pad_rows(turn_ids, length, -1)
    if read_mask:
        batch["read_mask"] = pad_rows([example["read_mask"] for example in examples], length, 0)
    return batch


def pad_memory(
    examples: Sequence[Mapping[str, Any]],
    turns: int,
    pad_token_id: int,
    memory: Sequence[Sequence[int]] | np.ndarray | None,
) -> dict[str, torch.Tensor]:
    """Pad the memory of windows: the rows that they use, once each, counted from 0.

    Args:
        examples: Windows.
        turns: The most turns of a window.
        pad_token_id: The padding.
        memory: The memory table: token ids by row, or vectors (N, H).

    Returns:
        `memory_index` (B, turns, K), -1 for none, and the rows: `memory_embeds` (U, H),
        or `memory_input_ids` and `memory_attention_mask` (U, M).

    Raises:
        ValueError: for windows that need the table, without it.
    """
    histories = [row for example in examples for row in example["memory_index"]]
    used = sorted({index for row in histories for index in row})
    if used and memory is None:
        raise ValueError("The model has a speaker_memory: the collator needs the memory table.")
    new_index = {index: row for row, index in enumerate(used)}
    width = max((len(row) for row in histories), default=0) or 1
    memory_index = torch.full((len(examples), turns, width), -1, dtype=torch.long)
    for dialogue, example in enumerate(examples):
        for turn, row in enumerate(example["memory_index"]):
            if row:
                new_row = torch.tensor([new_index[index] for index in row])
                memory_index[dialogue, turn, : len(row)] = new_row
    batch = {"memory_index": memory_index}
    if isinstance(memory, np.ndarray):
        batch["memory_embeds"] = torch.from_numpy(np.array(memory[used], dtype=np.float32))
        return batch
    rows = [list(memory[index]) for index in used] if memory is not None else []
    rows = rows or [[pad_token_id]]  # a row that no turn points to keeps shapes regular
    length = max(len(ids) for ids in rows)
    batch["memory_input_ids"] = pad_rows(rows, length, pad_token_id)
    batch["memory_attention_mask"] = pad_rows([[1] * len(ids) for ids in rows], length, 0)
    return batch


def pad_known(examples: Sequence[Mapping[str, Any]], labels: int) -> dict[str, torch.Tensor]:
    """Pad the known labels of windows.

    Args:
        examples: Windows. `known` has the turn (counted from the window's first), the
            local speaker id and the distribution (C) of each known label; `use_later`
            says whether those of later turns are read.
        labels: The number of emotions C.

    Returns:
        `known_emotions` (B, K, C), zeros for none; `known_turns` and `known_speakers`
        (B, K); `use_later` (B).
    """
    known = [example.get("known", ()) for example in examples]
    most = max(map(len, known))
    distributions = torch.zeros(len(known), most, labels)
    for row, found in enumerate(known):
        if found:
            distributions[row, : len(found)] = torch.tensor([values for _, _, values in found])
    turns, speakers = ([[item[part] for item in found] for found in known] for part in (0, 1))
    return {
        "known_emotions": distributions,
        "known_turns": pad_rows(turns, most, 0),
        "known_speakers": pad_rows(speakers, most, -1),
        "use_later": torch.tensor([bool(example.get("use_later")) for example in examples]),
    }
