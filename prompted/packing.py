"""Pack prompts so that every common prefix is computed once.

The prompts of a dialogue begin alike: the instruction, then the growing history. Packed
into one sequence they form a tree. A token attends to its ancestors alone and has the
position that it has in its own prompt, so its states are those of the prompt on its own.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from ..layers.padding import pad_rows

# Attention costs the square of a row's length: beyond this, another row is cheaper.
ROW_TOKENS = 4096
_NAME = "emonet_tree"
_QUERIES = 128  # tokens whose attention is computed at a time


@dataclass(frozen=True)
class PackedRow:
    """The tree of a few sequences, depth first.

    Attributes:
        ids: The tokens of the tree.
        positions: Position of each token in its sequences.
        ends: For each token, the index after its last descendant.
        paths: For each sequence, the index of each of its tokens in `ids`.
    """

    ids: list[int]
    positions: list[int]
    ends: list[int]
    paths: list[list[int]]


def packed(sequences: Sequence[Sequence[int]]) -> PackedRow:
    """Pack sequences into one row."""
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    paths: list[list[int]] = [[] for _ in sequences]
    path: list[int] = []
    before: Sequence[int] = ()
    # Sorted, sequences that begin alike are neighbours: the order is depth first.
    for index in sorted(range(len(sequences)), key=lambda index: list(sequences[index])):
        sequence = sequences[index]
        shared = common_length(before, sequence)
        for closed in path[shared:]:
            ends[closed] = len(ids)
        del path[shared:]
        for position in range(shared, len(sequence)):
            path.append(len(ids))
            ids.append(sequence[position])
            positions.append(position)
            ends.append(0)
        paths[index], before = list(path), sequence
    for closed in path:
        ends[closed] = len(ids)
    return PackedRow(ids, positions, ends, paths)


def packed_rows(
    groups: Sequence[Sequence[Sequence[int]]], limit: int = ROW_TOKENS
) -> tuple[list[PackedRow], list[int]]:
    """Pack sequences into rows of about `limit` tokens.

    Args:
        groups: Sequences that stay in one row, as the label words after one prompt;
            neighbouring groups should begin alike.
        limit: A row holds more only where a single group does.

    Returns:
        The rows, whose `paths` are those of their groups in order, and the number of
        groups in each row.
    """
    rows: list[list[Sequence[Sequence[int]]]] = []
    size = 0
    for group in groups:
        before: Sequence[int] = rows[-1][-1][0] if rows else ()
        new = len(group[0]) - common_length(before, group[0])
        new += sum(len(sequence) - len(group[0]) for sequence in group[1:])
        if not rows or size + new > limit:
            rows.append([])
            size, new = 0, len(group[0])
        rows[-1].append(group)
        size += new
    return [packed([item for group in row for item in group]) for row in rows], [len(row) for row in rows]


def padded_rows(rows: Sequence[PackedRow], pad: int) -> dict[str, torch.Tensor]:
    """Pad rows to `input_ids`, `position_ids` and `subtree_ends` (R, L).

    Padding attends to itself alone.
    """
    length = max(len(row.ids) for row in rows)
    itself = torch.arange(1, length + 1).repeat(len(rows), 1)
    ends = pad_rows([row.ends for row in rows], length, 0)
    return {
        "input_ids": pad_rows([row.ids for row in rows], length, pad),
        "position_ids": pad_rows([row.positions for row in rows], length, 0),
        "subtree_ends": torch.where(ends > 0, ends, itself),
    }


def packed_prompts(
    prompts: Sequence[Sequence[int]],
    branches: Sequence[Sequence[int]],
    pad: int,
    limit: int = ROW_TOKENS,
) -> dict[str, torch.Tensor]:
    """Pack prompts, each followed by all beginnings of label words, to a batch.

    Args:
        prompts: Token ids; those of a dialogue next to each other.
        branches: The tokens before each branch of the labels: see [`LabelTree`].
        pad: The padding.
        limit: See [`packed_rows`].

    Returns:
        `input_ids`, `position_ids` and `subtree_ends` (R, L), and `read_index` (N,
        branches): where the tokens that score each branch stand in the flattened rows.
    """
    groups = [[[*prompt, *branch] for branch in branches] for prompt in prompts]
    rows, counts = packed_rows(groups, limit)
    batch = padded_rows(rows, pad)
    length = batch["input_ids"].shape[1]
    last = [row * length + path[-1] for row, packed_row in enumerate(rows) for path in packed_row.paths]
    batch["read_index"] = torch.tensor(last).reshape(sum(counts), len(branches))
    return batch


def tree_mask(subtree_ends: torch.Tensor, dtype: torch.dtype, past: int = 0) -> torch.Tensor:
    """Make the additive attention mask (R, 1, L, past + L) of packed rows.

    Args:
        subtree_ends: For each token, the index after its last descendant (R, L).
        dtype: Of the mask: the attention's.
        past: Number of earlier tokens, which all tokens see.
    """
    index = torch.arange(subtree_ends.shape[1], device=subtree_ends.device)
    query, key = index[:, None], index[None, :]
    visible = (key <= query) & (query < subtree_ends[:, None, :])
    if past:
        seen = visible.new_ones(*visible.shape[:2], past)
        visible = torch.cat([seen, visible], dim=-1)
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min).unsqueeze(1)


@contextmanager
def tree_attention(transformer: Any) -> Iterator[None]:
    """Let a transformer on a CPU skip the keys that none of a few hundred tokens see.

    A token of a packed row sees a fraction of the row: its history and its question.
    """
    config = transformer.config
    before = config._attn_implementation
    # Recomputing the activations, after this context, must take the same operations.
    recomputes = any(getattr(module, "gradient_checkpointing", False) for module in transformer.modules())
    if before == "sdpa" and not recomputes:
        config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _tree_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    length = query.shape[2]
    if mask is None or mask.shape[-1] != length or query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
    outputs = []
    for begin in range(0, length, _QUERIES):
        end = min(begin + _QUERIES, length)
        part = mask[:, :, begin:end, :end]
        seen = (part == 0).any(0).any(0).any(0).nonzero().squeeze(1)
        output, _ = sdpa_attention_forward(
            module,
            query[:, :, begin:end],
            key[:, :, seen],
            value[:, :, seen],
            part[..., seen],
            **kwargs,
        )
        outputs.append(output)
    return torch.cat(outputs, dim=1), None


AttentionInterface.register(_NAME, _tree_attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)


def can_pack(language_model: Any, tokens: int) -> bool:
    """Whether a language model computes packed rows as it computes prompts.

    It must take masks and positions of any form, and attend to all of a prompt.

    Args:
        language_model: A causal language model of transformers.
        tokens: Length of the longest prompt.
    """
    config = language_model.config
    attends = bool(getattr(language_model, "_supports_sdpa", False))
    attends &= getattr(config, "_attn_implementation", None) in ("sdpa", "eager")
    attends &= "position_ids" in inspect.signature(language_model.base_model.forward).parameters
    return (
        attends and not getattr(config, "alibi", False) and all(width >= tokens for width in _widths(config))
    )


def _widths(config: Any) -> Iterator[int]:
    """The widths of attention that is narrower than the whole prompt."""
    if getattr(config, "use_sliding_window", True):
        for name in ("sliding_window", "attention_chunk_size", "window_size"):
            width = getattr(config, name, None)
            if isinstance(width, int):
                yield width
    kinds = {
        *(getattr(config, "layer_types", None) or ()),
        *(getattr(config, "layers_block_type", None) or ()),
    }
    if any("attention" not in kind for kind in kinds):  # recurrent layers read row by row
        yield 0


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common prefix of two sequences."""
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return length
