"""Mask attention between a dialogue's tokens and pool tokens into turn vectors."""

from typing import Any

import torch
import torch.nn.functional as F

from ..configuration_emonet import OFFSET_POSITION_TYPES, EmoNetConfig


def run_encoder(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    turn_ids: torch.Tensor,
) -> torch.Tensor:
    """Run the backbone once over a batch, each turn seeing the turns it may.

    Args:
        encoder: The backbone.
        config: Its `context_mode`, `context_window` and `causal` decide what a turn sees.
        embeds: Token embeddings (S, L, H).
        attention_mask: (S, L).
        turn_ids: (S, L), the turn of each token, -1 for none.

    Returns:
        The last hidden states (S, L, H).
    """
    windowed = config.context_window is not None
    if config.context_mode == "per_turn" or not (
        windowed or (config.causal and not config.is_decoder_backbone)
    ):
        hidden: torch.Tensor = encoder(inputs_embeds=embeds, attention_mask=attention_mask).last_hidden_state
        return hidden
    allowed = turn_block_mask(attention_mask, turn_ids, config)
    positions = _restarted_positions(turn_ids, config) if config.context_window == 0 else None
    return run_masked(encoder, config, embeds, attention_mask, allowed, positions)


def run_masked(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    allowed: torch.Tensor,
    position_ids: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the backbone once over embeddings (S, L, H) with a mask of tokens by tokens.

    Args:
        encoder: The backbone.
        config: The model's configuration.
        embeds: Token embeddings (S, L, H).
        attention_mask: (S, L).
        allowed: (S, L, K) bool, the keys that each query token attends to.
        position_ids: (S, L), by default the backbone's own.

    Returns:
        The last hidden states (S, L, H).
    """
    hidden: torch.Tensor
    family = config.text_config.model_type
    if family.startswith("deberta"):  # its embeddings take no block mask, its layers do
        states = encoder.embeddings(inputs_embeds=embeds, mask=attention_mask, position_ids=position_ids)
        hidden = encoder.encoder(states, allowed.long()).last_hidden_state
        return hidden
    inputs: dict[str, Any] = {"inputs_embeds": embeds, **_as_backbone_mask(allowed, family, embeds.dtype)}
    if position_ids is not None:
        inputs["position_ids"] = position_ids
    if config.is_decoder_backbone:
        inputs["use_cache"] = False
    hidden = encoder(**inputs).last_hidden_state
    return hidden


def turn_block_mask(
    attention_mask: torch.Tensor, turn_ids: torch.Tensor, config: EmoNetConfig, past: int = 0
) -> torch.Tensor:
    """(S, L - past, L) bool: whether the query token (row) attends to the key (column).

    Turn-block-causal: its own turn and earlier ones, at most `context_window` back;
    inside a decoder, earlier tokens only.

    Args:
        attention_mask: (S, L).
        turn_ids: (S, L).
        config: The model's configuration.
        past: How many of the first tokens are keys only, because they are in the cache.
    """
    query, key = turn_ids[:, past:].unsqueeze(2), turn_ids.unsqueeze(1)
    allowed = attention_mask.bool().unsqueeze(1).expand(-1, query.shape[1], -1)
    if config.causal:
        allowed = allowed & (key <= query)
    if config.context_window is not None:
        allowed = allowed & ((query - key).abs() <= config.context_window)
    if config.is_decoder_backbone:
        allowed = allowed & torch.ones_like(allowed[0]).tril(diagonal=past)
    return allowed


def _as_backbone_mask(allowed: torch.Tensor, model_type: str, dtype: torch.dtype) -> dict[str, Any]:
    """Turn a bool mask (S, Q, K) into the attention argument of the backbone's family."""
    bias = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    bias = bias.masked_fill(~allowed, torch.finfo(dtype).min).unsqueeze(1)
    if model_type == "modernbert":  # one mask a layer type; a block mask replaces the local window as well
        return {"attention_mask": {"full_attention": bias, "sliding_attention": bias}}
    return {"attention_mask": bias}


def _restarted_positions(turn_ids: torch.Tensor, config: EmoNetConfig) -> torch.Tensor:
    """Restart positions with each turn, so that it reads as in a sequence alone."""
    indices = torch.arange(turn_ids.shape[1], device=turn_ids.device)
    starts = turn_ids != F.pad(turn_ids, (1, 0), value=-2)[:, :-1]
    runs = starts.long().cumsum(1)
    # The first index of each token's run. A cummax would be shorter, but ONNX has none.
    first = torch.where(runs.unsqueeze(2) == runs.unsqueeze(1), indices, turn_ids.shape[1]).amin(-1)
    return offset_positions(indices - first, config)


def offset_positions(positions: torch.Tensor, config: EmoNetConfig) -> torch.Tensor:
    """Turn token indices, from 0 on, into the backbone's position ids."""
    positions = positions.clamp(max=config.sequence_limit - 1)
    if config.text_config.model_type in OFFSET_POSITION_TYPES:
        positions = positions + (config.text_config.pad_token_id or 0) + 1
    return positions


def encode_sequences(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    turn_ids: torch.Tensor,
    rows_per_pass: int = 8,
) -> torch.Tensor:
    """Encode per_turn sequences (S, L, H) into the vector of each last turn (S, H).

    Sequences run from one turn to the whole past, so they are encoded in batches of
    similar length, without the padding. The vector is the first token, the last, or the
    mean over the tokens of the last turn.
    """
    lengths = attention_mask.sum(1)
    order = lengths.argsort()
    vectors = []
    for start in range(0, len(order), rows_per_pass):
        rows = order[start : start + rows_per_pass]
        length = int(lengths[rows].max())
        mask, turns = attention_mask[rows, :length], turn_ids[rows, :length]
        hidden = run_encoder(encoder, config, embeds[rows, :length], mask, turns)
        vectors.append(pool_last_turn(hidden, mask, turns, config.pooling))
    return torch.cat(vectors)[order.argsort()]


def pool_last_turn(
    hidden: torch.Tensor, attention_mask: torch.Tensor, turn_ids: torch.Tensor, pooling: str
) -> torch.Tensor:
    """Pool (S, L, H) over each last turn, or take its first or last token → (S, H)."""
    span = turn_ids == turn_ids.max(1, keepdim=True).values if pooling == "mean" else attention_mask.bool()
    return _pool(hidden, span.unsqueeze(1), pooling).squeeze(1)


def pool_turns(hidden: torch.Tensor, turn_ids: torch.Tensor, turns: int, pooling: str) -> torch.Tensor:
    """Pool (S, L, H) over each turn's tokens → (S, T, H); zero where there is no turn."""
    indices = torch.arange(turns, device=turn_ids.device).view(1, -1, 1)
    return _pool(hidden, turn_ids.unsqueeze(1) == indices, pooling)


def _pool(hidden: torch.Tensor, span: torch.Tensor, pooling: str) -> torch.Tensor:
    """(S, L, H) and spans (S, T, L) → (S, T, H)."""
    if pooling == "mean":
        weights = span.to(hidden.dtype)
        return (weights @ hidden) / weights.sum(-1, keepdim=True).clamp(min=1)
    # argmax finds the first largest value: of ones, the first token of the span; of
    # ascending numbers, the last.
    order = span.int()
    if pooling == "last":
        order = order * torch.arange(1, span.shape[-1] + 1, device=span.device)
    index = order.argmax(-1)
    vectors = hidden.gather(1, index.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
    return vectors * span.any(-1, keepdim=True).to(hidden.dtype)
