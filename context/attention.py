"""Masked attention over turns and the masks it takes, as the systems share them."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def same_speaker(speakers: torch.Tensor) -> torch.Tensor:
    """(B, T) ids → (B, T, T) bool: are turn i (row) and turn j (column) one person's?
    Every turn is with itself.
    """
    return speakers.unsqueeze(2) == speakers.unsqueeze(1)


def distances(turns: int, device: torch.device) -> torch.Tensor:
    """(T, T) j - i of turn i (row) and turn j (column): negative where j is earlier."""
    places = torch.arange(turns, device=device)
    return places.unsqueeze(0) - places.unsqueeze(1)


def window_mask(turn_mask: torch.Tensor, past: int | None, future: int | None) -> torch.Tensor:
    """(B, T, T) bool: may turn i see turn j, at most `past` turns back and `future`
    ahead, itself included? None: all of them.
    """
    away = distances(turn_mask.shape[1], turn_mask.device)
    allowed = turn_mask.unsqueeze(2) & turn_mask.unsqueeze(1)
    if past is not None:
        allowed = allowed & (away >= -past)
    if future is not None:
        allowed = allowed & (away <= future)
    return allowed


def masked_softmax(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Softmax over the last dimension of what is allowed; zero everywhere in a row that
    allows nothing.
    """
    weights = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
    return weights * allowed.to(weights.dtype)


def masked_mean(states: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """(B, T, H) and (B, S, T) bool → (B, S, H): the mean over what each row allows, zero
    where that is nothing.
    """
    weights = allowed.to(states.dtype)
    return (weights @ states) / weights.sum(-1, keepdim=True).clamp(min=1)


class MaskedAttention(nn.Module):
    """Multi-head attention among turns, each head with a mask of its own if need be. A
    turn that may see none gets zero.

    Args:
        heads: They share out `size`, rounded down where it does not divide. reach: With
            it, each head has a learnt bias by
        relative
            distance, clipped to so many turns either way.
    """

    def __init__(self, size: int, heads: int, dropout: float, reach: int = 0):
        super().__init__()
        self.heads, self.reach = heads, reach
        self.head_size = max(1, size // heads)
        inner = heads * self.head_size
        self.query = nn.Linear(size, inner)
        self.key = nn.Linear(
            size, inner, bias=False
        )  # one would be the same for all keys, which a softmax does not see
        self.value = nn.Linear(size, inner)
        self.output = nn.Linear(inner, size)
        self.bias = nn.Embedding(2 * reach + 1, heads) if reach else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """(B, T, H) queries and keys, and what each head's query may see, (B, T, T) or
        (B, heads, T, T) → (B, T, H).
        """
        query, key, value = (
            self._split(self.query(queries)),
            self._split(self.key(keys)),
            self._split(self.value(keys)),
        )
        scores = query @ key.transpose(-1, -2) / self.head_size**0.5
        if self.bias is not None:
            away = distances(queries.shape[1], queries.device).clamp(-self.reach, self.reach) + self.reach
            scores = scores + self.bias(away).permute(2, 0, 1)
        allowed = allowed if allowed.dim() == 4 else allowed.unsqueeze(1)
        mixed = self.dropout(masked_softmax(scores, allowed)) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        """(B, T, heads · S) → (B, heads, T, S)."""
        return states.unflatten(-1, (self.heads, self.head_size)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """One layer of a transformer: attention, then a feed-forward net, each added to its
    input and normalised.
    """

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
        """(B, T, H) and what may be seen → (B, T, H); with `keys`, cross-attention to
        them.
        """
        seen = self.attention(states, states if keys is None else keys, allowed)
        states = self.attention_norm(states + self.dropout(seen))
        return self.output_norm(states + self.dropout(self.feed_forward(states)))


def run_both_ways(rnn: nn.RNNBase, states: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
    """A bidirectional recurrent net over (B, T, H), which starts at each dialogue's own
    last turn and not in the padding.
    """
    packed = pack_padded_sequence(
        states, turn_mask.sum(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
    )
    return pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=states.shape[1])[0]
