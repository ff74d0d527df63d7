"""Masked attention over turns, and the masks that the systems share."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def same_speaker(speakers: torch.Tensor, first: int = 0) -> torch.Tensor:
    """(B, T) ids → (B, T, T) bool: whether turns i (row) and j (column) share a speaker.

    A turn shares its speaker with itself. The rows start with turn `first`.
    """
    return speakers[:, first:].unsqueeze(2) == speakers.unsqueeze(1)


def distances(turns: int, device: torch.device, first: int = 0) -> torch.Tensor:
    """(T, T) j - i of turn i (row) and turn j (column): negative where j is earlier.

    The rows start with turn `first`.
    """
    indices = torch.arange(turns, device=device)
    return indices.unsqueeze(0) - indices[first:].unsqueeze(1)


def window_mask(
    turn_mask: torch.Tensor, past: int | None, future: int | None, first: int = 0
) -> torch.Tensor:
    """(B, T, T) bool: whether turn i (row) may attend to turn j (column).

    Args:
        turn_mask: (B, T), True for turns.
        past: How many turns back the window reaches; None for all.
        future: How many turns ahead it reaches; None for all, -1 to leave out the turn
            itself.
        first: The turn of the first row.
    """
    distance = distances(turn_mask.shape[1], turn_mask.device, first)  # j - i
    allowed = turn_mask[:, first:].unsqueeze(2) & turn_mask.unsqueeze(1)
    if past is not None:
        allowed = allowed & (distance >= -past)
    if future is not None:
        allowed = allowed & (distance <= future)
    return allowed


def masked_softmax(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Softmax over the allowed entries of the last dimension; zero where none is."""
    weights = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
    return weights * allowed.to(weights.dtype)


def masked_mean(states: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """(B, T, H), (B, S, T) bool → (B, S, H): the mean over the allowed turns, or zero."""
    weights = allowed.to(states.dtype)
    return (weights @ states) / weights.sum(-1, keepdim=True).clamp(min=1)


class MaskedAttention(nn.Module):
    """Multi-head attention among turns, with one mask or a mask for each head.

    A turn that may attend to none gets zero.

    Args:
        size: Width H of the turn vectors.
        heads: Number of heads. They share `size`, rounded down where it does not divide.
        dropout: Dropout on the attention weights.
        reach: With it, each head learns a bias by relative distance, clipped to this many
            turns either way.
    """

    def __init__(self, size: int, heads: int, dropout: float, reach: int = 0):
        super().__init__()
        self.heads, self.reach = heads, reach
        self.head_size = max(1, size // heads)
        inner = heads * self.head_size
        self.query = nn.Linear(size, inner)
        # A key bias adds the same to all scores of a query, which the softmax ignores.
        self.key = nn.Linear(size, inner, bias=False)
        self.value = nn.Linear(size, inner)
        self.output = nn.Linear(inner, size)
        self.bias = nn.Embedding(2 * reach + 1, heads) if reach else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Attend from queries (B, T, H) to keys (B, T, H) → (B, T, H).

        Args:
            queries: Turn vectors that attend.
            keys: Turn vectors attended to.
            allowed: (B, T, T), or (B, heads, T, T) for a mask of each head.
        """
        return self.attend(queries, *self.keys_and_values(keys), allowed)

    def keys_and_values(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn vectors (B, T, H) → their keys and values (B, heads, T, S)."""
        return self._split(self.key(states)), self._split(self.value(states))

    def attend(
        self, queries: torch.Tensor, key: torch.Tensor, value: torch.Tensor, allowed: torch.Tensor
    ) -> torch.Tensor:
        """As `forward`, with keys and values (B, heads, N, S) of N ≥ T turns.

        The queries are the last of them.
        """
        query, turns = self._split(self.query(queries)), key.shape[2]
        scores = query @ key.transpose(-1, -2) / self.head_size**0.5
        if self.bias is not None:
            distance = distances(turns, queries.device, turns - queries.shape[1])
            distance = distance.clamp(-self.reach, self.reach)
            scores = scores + self.bias(distance + self.reach).permute(2, 0, 1)
        allowed = allowed if allowed.dim() == 4 else allowed.unsqueeze(1)
        mixed = self.dropout(masked_softmax(scores, allowed)) @ value
        output: torch.Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        """(B, T, heads · S) → (B, heads, T, S)."""
        return torch.unflatten(states, -1, (self.heads, self.head_size)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """A transformer layer: attention and feed-forward net, with residuals and norms."""

    def __init__(self, size: int, heads: int, inner: int, dropout: float, reach: int = 0):
        super().__init__()
        self.attention = MaskedAttention(size, heads, dropout, reach)
        self.feed_forward = nn.Sequential(
            nn.Linear(size, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, size)
        )
        self.attention_norm, self.output_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states: torch.Tensor, allowed: torch.Tensor, keys: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Attend within (B, T, H) states, or from them to `keys` (B, T, H)."""
        attended = self.attention(states, states if keys is None else keys, allowed)
        return self._with_attended(states, attended)

    def resume(
        self, states: torch.Tensor, allowed: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Attend from new states (B, T, H) to them and to earlier turns.

        Args:
            states: The turn vectors.
            allowed: (B, T, N) or (B, heads, T, N), for earlier and new turns.
            past: The earlier turns' keys and values.

        Returns:
            The new turns' states (B, T, H), and keys and values of all turns.
        """
        new = self.attention.keys_and_values(states)
        key, value = (torch.cat(pair, dim=2) for pair in zip(past, new, strict=True))
        attended = self.attention.attend(states, key, value, allowed)
        return self._with_attended(states, attended), (key, value)

    def _with_attended(self, states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        states = self.attention_norm(states + self.dropout(attended))
        output: torch.Tensor = self.output_norm(states + self.dropout(self.feed_forward(states)))
        return output


def run_both_ways(rnn: nn.RNNBase, states: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
    """Run a bidirectional recurrent net over (B, T, H), without reading the padding.

    The backward pass starts at each dialogue's own last turn.
    """
    lengths = turn_mask.sum(1).clamp(min=1)
    if torch.compiler.is_exporting():  # a graph may not depend on the lengths
        return _run_without_packing(rnn, states, lengths)
    packed = pack_padded_sequence(states, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=states.shape[1])[0]


def _run_without_packing(rnn: nn.RNNBase, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Run each direction of a layer by itself, the backward one over reversed turns."""
    index, ends = torch.arange(states.shape[1], device=states.device), lengths.unsqueeze(1)
    is_turn = index < ends
    from_end = torch.where(is_turn, ends - 1 - index, index).unsqueeze(-1)  # (B, T, 1)
    start = states.new_zeros(1, states.shape[0], rnn.hidden_size)
    for layer in range(rnn.num_layers):
        outputs = []
        for direction in ("", "_reverse"):
            ordered = states.gather(1, from_end.expand_as(states)) if direction else states
            parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [rnn.get_parameter(f"{part}_l{layer}{direction}") for part in parts]
            options: Any = (
                weights,
                True,
                1,
                0.0,
                False,
                False,
                True,
            )  # biases, one layer, one way, batch first
            if rnn.mode == "LSTM":
                output = torch.lstm(ordered, [start, start], *options)[0]
            else:
                output = torch.gru(ordered, start, *options)[0]
            outputs.append(output.gather(1, from_end.expand_as(output)) if direction else output)
        states = torch.cat(outputs, dim=-1)
    return states * is_turn.unsqueeze(-1)
