"""What a token of a dialogue may see, and how a turn vector is read from its tokens."""

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
    """One pass of the backbone over embeddings (S, L, H) → last hidden states (S, L, H),
    each turn seeing what it may.
    """
    windowed = config.context_window is not None
    if config.context_mode == "per_turn" or not (
        windowed or (config.causal and not config.is_decoder_backbone)
    ):
        return encoder(inputs_embeds=embeds, attention_mask=attention_mask).last_hidden_state
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
    """One pass over embeddings (S, L, H) in which query tokens see the keys that
    `allowed` (S, L, K) says.
    """
    family = config.text_config.model_type
    if family.startswith("deberta"):  # its embeddings take no block mask, its layers do
        states = encoder.embeddings(inputs_embeds=embeds, mask=attention_mask, position_ids=position_ids)
        return encoder.encoder(states, allowed.long()).last_hidden_state
    inputs: dict[str, Any] = {"inputs_embeds": embeds, **_as_backbone_mask(allowed, family, embeds.dtype)}
    if position_ids is not None:
        inputs["position_ids"] = position_ids
    if config.is_decoder_backbone:
        inputs["use_cache"] = False
    return encoder(**inputs).last_hidden_state


def turn_block_mask(
    attention_mask: torch.Tensor, turn_ids: torch.Tensor, config: EmoNetConfig, past: int = 0
) -> torch.Tensor:
    """(S, L - past, L) bool: may the query token (row) see the key token (column)?

    Turn-block-causal: its own turn and earlier ones, at most `context_window` back;
    inside a decoder, earlier tokens only.

    Args:
        past: How many of the first tokens are keys alone, because they were encoded
            before.
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
    """A bool mask (S, Q, K) → the attention argument of the backbone's family."""
    bias = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    bias = bias.masked_fill(~allowed, torch.finfo(dtype).min).unsqueeze(1)
    if model_type == "modernbert":  # one mask a layer type; a block mask replaces the local window as well
        return {"attention_mask": {"full_attention": bias, "sliding_attention": bias}}
    return {"attention_mask": bias}


def _restarted_positions(turn_ids: torch.Tensor, config: EmoNetConfig) -> torch.Tensor:
    """Positions that start anew with each turn, so that a turn alone reads as it would in
    a sequence of its own.
    """
    places = torch.arange(turn_ids.shape[1], device=turn_ids.device)
    starts = turn_ids != F.pad(turn_ids, (1, 0), value=-2)[:, :-1]
    runs = starts.long().cumsum(1)
    # The first place of each token's run; a cummax over the starts would be shorter, and
    # ONNX has none.
    first = torch.where(runs.unsqueeze(2) == runs.unsqueeze(1), places, turn_ids.shape[1]).amin(-1)
    return offset_positions(places - first, config)


def offset_positions(positions: torch.Tensor, config: EmoNetConfig) -> torch.Tensor:
    """Places of tokens, from 0 on → the backbone's position ids."""
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
    """per_turn sequences (S, L, H) → the vector of the turn that ends each (S, H).

    Sequences run from one turn to the whole past, so they are encoded in portions of
    similar length, without the padding. Read at the first token, the last, or as the mean
    over the tokens of the last turn.
    """
    lengths = attention_mask.sum(1)
    order = lengths.argsort()
    vectors = []
    for rows in order.split(rows_per_pass):
        length = int(lengths[rows].max())
        mask, turns = attention_mask[rows, :length], turn_ids[rows, :length]
        hidden = run_encoder(encoder, config, embeds[rows, :length], mask, turns)
        vectors.append(pool_last_turn(hidden, mask, turns, config.pooling))
    return torch.cat(vectors)[order.argsort()]


def pool_last_turn(
    hidden: torch.Tensor, attention_mask: torch.Tensor, turn_ids: torch.Tensor, pooling: str
) -> torch.Tensor:
    """per_turn states (S, L, H) → (S, H): the mean over each sequence's last turn, or its
    first or last token.
    """
    span = turn_ids == turn_ids.max(1, keepdim=True).values if pooling == "mean" else attention_mask.bool()
    return _pool(hidden, span.unsqueeze(1), pooling).squeeze(1)


def pool_turns(hidden: torch.Tensor, turn_ids: torch.Tensor, turns: int, pooling: str) -> torch.Tensor:
    """(S, L, H) hidden states → (S, T, H), each turn read from its own tokens; places
    without a turn are zero.
    """
    places = torch.arange(turns, device=turn_ids.device).view(1, -1, 1)
    return _pool(hidden, turn_ids.unsqueeze(1) == places, pooling)


def _pool(hidden: torch.Tensor, span: torch.Tensor, pooling: str) -> torch.Tensor:
    """(S, L, H) and spans (S, T, L) → (S, T, H)."""
    if pooling == "mean":
        weights = span.to(hidden.dtype)
        return (weights @ hidden) / weights.sum(-1, keepdim=True).clamp(min=1)
    places = span.int()
    if pooling == "last":
        places = places * torch.arange(1, span.shape[-1] + 1, device=span.device)
    index = places.argmax(-1)
    vectors = hidden.gather(1, index.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
    return vectors * span.any(-1, keepdim=True).to(hidden.dtype)
