"""Mask attention between a dialogue's tokens and pool tokens into turn vectors."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from transformers.modeling_outputs import BaseModelOutput

from ..configuration_emonet import OFFSET_POSITION_TYPES, EmoNetConfig


def run_encoder(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    turn_ids: torch.Tensor,
    **options: Any,
) -> Any:
    """Run the backbone once over a batch, each turn seeing the turns it may.

    Args:
        encoder: The backbone.
        config: Its `context_mode`, `context_window` and `causal` decide what a turn sees.
        embeds: Token embeddings (S, L, H).
        attention_mask: (S, L).
        turn_ids: (S, L), the turn of each token, -1 for none.
        options: `output_hidden_states` and `output_attentions`.

    Returns:
        The backbone's output, with `last_hidden_state` (S, L, H).
    """
    windowed = config.context_window is not None
    if config.context_mode == "per_turn" or not (
        windowed or (config.causal and not config.is_decoder_backbone)
    ):
        output: BaseModelOutput = encoder(inputs_embeds=embeds, attention_mask=attention_mask, **options)
        return output
    allowed = turn_block_mask(attention_mask, turn_ids, config)
    positions = _restarted_positions(turn_ids, config) if config.context_window == 0 else None
    return run_masked(encoder, config, embeds, attention_mask, allowed, positions, **options)


def run_masked(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    allowed: torch.Tensor,
    position_ids: torch.Tensor | None = None,
    **options: Any,
) -> Any:
    """Run the backbone once over embeddings (S, L, H) with a mask of tokens by tokens.

    Args:
        encoder: The backbone.
        config: The model's configuration.
        embeds: Token embeddings (S, L, H).
        attention_mask: (S, L).
        allowed: (S, L, K) bool, the keys that each query token attends to.
        position_ids: (S, L), by default the backbone's own.
        options: `output_hidden_states` and `output_attentions`.

    Returns:
        The backbone's output, with `last_hidden_state` (S, L, H).
    """
    output: BaseModelOutput
    family = config.text_config.model_type
    if family.startswith("deberta"):  # its embeddings take no block mask, its layers do
        states = encoder.embeddings(inputs_embeds=embeds, mask=attention_mask, position_ids=position_ids)
        output = encoder.encoder(states, allowed.long(), **options)
        return output
    inputs: dict[str, Any] = {"inputs_embeds": embeds, **_as_backbone_mask(allowed, family, embeds.dtype)}
    if position_ids is not None:
        inputs["position_ids"] = position_ids
    if config.is_decoder_backbone:
        inputs["use_cache"] = False
    output = encoder(**inputs, **options)
    return output


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


def encode_packed(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    turn_ids: torch.Tensor,
    read_mask: torch.Tensor | None,
    turns: int,
    **options: Any,
) -> tuple[torch.Tensor, Mapping[str, Any]]:
    """Encode packed dialogues (B, L, H) into the vectors of their turns (B, T, H).

    Returns:
        The vectors, and with `options` the backbone's output.
    """
    output = run_encoder(encoder, config, embeds, attention_mask, turn_ids, **options)
    if read_mask is not None:
        turn_ids = turn_ids.masked_fill(read_mask == 0, -1)
    vectors = pool_turns(output.last_hidden_state, turn_ids, turns, config.pooling)
    return vectors, output if options else {}


def encode_sequences(
    encoder: Any,
    config: EmoNetConfig,
    embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    turn_ids: torch.Tensor,
    rows_per_pass: int = 8,
    **options: Any,
) -> tuple[torch.Tensor, Mapping[str, Any]]:
    """Encode per_turn sequences (S, L, H) into the vector of each last turn (S, H).

    Sequences run from one turn to the whole past. The vector is the first token, the
    last, or the mean over the tokens of the last turn.

    Returns:
        The vectors, and with `options` the backbone's output.
    """
    if options:
        output = run_encoder(encoder, config, embeds, attention_mask, turn_ids, **options)
        return pool_last_turn(output.last_hidden_state, attention_mask, turn_ids, config.pooling), output

    def encode(embeds: torch.Tensor, mask: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        hidden = run_encoder(encoder, config, embeds, mask, turns).last_hidden_state
        return pool_last_turn(hidden, mask, turns, config.pooling)

    lengths = attention_mask.sum(1)
    return encode_by_length(encode, (embeds, attention_mask, turn_ids), lengths, rows_per_pass), {}


def rows_of_turns(vectors: torch.Tensor, sequence_index: torch.Tensor) -> torch.Tensor:
    """Give each turn (B, T) the vector of its sequence (S, H), or zeros: (B, T, H)."""
    # -1 marks a missing turn: row 0 is read in its place and zeroed.
    found = (sequence_index >= 0).unsqueeze(-1).to(vectors.dtype)
    return vectors[sequence_index.clamp(min=0)] * found


def encode_by_length(
    encode: Callable[..., torch.Tensor],
    inputs: tuple[torch.Tensor, ...],
    lengths: torch.Tensor,
    rows_per_pass: int,
) -> torch.Tensor:
    """Encode rows in batches of similar length, which need less padding.

    Args:
        encode: Encodes rows of `inputs`, (N, L) each, into (N, H).
        inputs: (S, L) each.
        lengths: (S,), in tokens.
        rows_per_pass: The size of a batch.

    Returns:
        (S, H).
    """
    if torch.compiler.is_exporting():  # one pass: a graph may not depend on the lengths
        return encode(*inputs)
    order = lengths.argsort()
    vectors = []
    for rows in order.split(rows_per_pass):  # type: ignore[no-untyped-call]
        longest = max(1, int(lengths[rows].max()))
        vectors.append(encode(*(tensor[rows, :longest] for tensor in inputs)))
    return torch.cat(vectors)[order.argsort()]


def utterance_turn_ids(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, config: EmoNetConfig
) -> torch.Tensor:
    """The turn ids (U, M) of utterances alone: 0 for their tokens.

    -1 is for padding and a decoder's bos token.
    """
    turn_ids = torch.where(attention_mask.bool(), 0, -1)
    bos_token_id = config.text_config.bos_token_id
    if config.is_decoder_backbone and bos_token_id is not None:
        turn_ids[:, 0].masked_fill_(input_ids[:, 0] == bos_token_id, -1)
    return turn_ids


def drop_speakers(speaker_ids: torch.Tensor, rate: float) -> torch.Tensor:
    """Replace known speakers (B, T) by the unknown one with a probability."""
    if rate <= 0:
        return speaker_ids
    dropped = torch.rand(speaker_ids.shape, device=speaker_ids.device) < rate
    return torch.where(dropped & (speaker_ids > 0), 0, speaker_ids)


def marker_speakers(
    turn_ids: torch.Tensor, speaker_ids: torch.Tensor, sequence_index: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the first tokens of the turns and each token's speaker.

    Args:
        turn_ids: (S, L).
        speaker_ids: (B, T).
        sequence_index: (B, T) in per_turn mode.

    Returns:
        (S, L) bool, true at a turn's first token, and (S, L) speaker ids.
    """
    if sequence_index is not None:
        # Sequences are numbered across dialogues in per_turn mode: give each one the
        # speakers (T) of its dialogue. Missing turns write into a row that is cut off.
        sequences = turn_ids.shape[0]
        rows = sequence_index.masked_fill(sequence_index < 0, sequences).flatten()
        dialogues = torch.arange(sequence_index.shape[0], device=rows.device).unsqueeze(1)
        owners = rows.new_zeros(sequences + 1).scatter(0, rows, dialogues.expand_as(sequence_index).flatten())
        speakers = speaker_ids[owners[:-1].unsqueeze(1), turn_ids.clamp(min=0)]  # never (S, T)
    else:
        speakers = speaker_ids.gather(1, turn_ids.clamp(min=0))
    previous = F.pad(turn_ids, (1, 0), value=-1)[:, :-1]
    starts = (turn_ids >= 0) & (turn_ids != previous)
    return starts, speakers


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
