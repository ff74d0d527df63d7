"""Reuse keys and values of encoded tokens, for backbones with attention backends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

Layers = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values (heads, tokens, width) of each layer

_NAME = "emonet_cached"
_UNGROUPED = torch.nn.Identity()  # a module whose heads share no keys
_active = threading.local()
# Switching the attention changes the encoder's configuration, which threads share.
_lock = threading.RLock()


class SequenceCache:
    """Keys and values of a sequence's tokens, in buffers with room for more.

    Appending copies the new tokens only. A buffer doubles when it is full: a layer holds
    at most twice what its tokens need, or 64 tokens.
    """

    def __init__(self, layers: Layers | None = None):
        self._buffers: Layers = list(layers or [])
        self.tokens = self._buffers[0][0].shape[1] if self._buffers else 0

    @property
    def layers(self) -> Layers:
        """The keys and values (heads, tokens, width) of each layer."""
        return [(key[:, : self.tokens], value[:, : self.tokens]) for key, value in self._buffers]

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new keys and values (heads, N, width) behind its tokens.

        They count as tokens after `extend` only: what a pass that failed has written is
        overwritten.

        Returns:
            Keys and values (heads, tokens + N, width), old and new.
        """
        end = self.tokens + key.shape[1]
        if layer == len(self._buffers):
            self._buffers.append((key.new_empty(0), value.new_empty(0)))
        old = self._buffers[layer]
        if old[0].dim() == 1 or old[0].shape[1] < end:
            old = self._buffers[layer] = (self._grown(old[0], key, end), self._grown(old[1], value, end))
        for buffer, new in zip(old, (key, value), strict=True):
            buffer[:, self.tokens : end] = new
        return old[0][:, :end], old[1][:, :end]

    def extend(self, tokens: int) -> None:
        """Count the tokens that a pass has written in all layers."""
        self.tokens += tokens

    def _grown(self, buffer: torch.Tensor, new: torch.Tensor, end: int) -> torch.Tensor:
        # A power of two, so that a restored sequence has the same layout in memory and
        # rounds alike.
        grown = new.new_empty(new.shape[0], 1 << max(6, (end - 1).bit_length()), new.shape[2])
        if self.tokens:
            grown[:, : self.tokens] = buffer[:, : self.tokens]
        return grown


class KeyValueCache:
    """The earlier keys and values of a batch of sequences, and those of the next pass.

    Args:
        past: The cache of each sequence, which the pass extends.
        tokens: How many tokens each sequence gets.
    """

    def __init__(self, past: list[SequenceCache], tokens: list[int]):
        self.past, self.new = past, tokens
        self.tokens = max(sequence.tokens for sequence in past)
        self._layer = 0

    def extend(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the padded past in front of the next layer's new keys and values.

        Args:
            key: New keys (S, heads, N, width).
            value: New values of the same shape.
        """
        layer, self._layer = self._layer, self._layer + 1
        written = [
            sequence.write(layer, key[row, :, :tokens], value[row, :, :tokens])
            for row, (sequence, tokens) in enumerate(zip(self.past, self.new, strict=True))
        ]
        if len(written) == 1:
            return written[0][0].unsqueeze(0), written[0][1].unsqueeze(0)
        if not self.tokens:
            return key, value
        return self._prepend_past(key, 0, written), self._prepend_past(value, 1, written)

    def _prepend_past(self, new: torch.Tensor, kind: int, written: Layers) -> torch.Tensor:
        """Kind 0 is the keys, 1 the values."""
        past = new.new_zeros(new.shape[0], new.shape[1], self.tokens, new.shape[3])
        for row, sequence in enumerate(self.past):
            past[row, :, : sequence.tokens] = written[row][kind][:, : sequence.tokens]
        return torch.cat([past, new], dim=2)

    def finish(self) -> None:
        """Keep what the pass has written."""
        for sequence, tokens in zip(self.past, self.new, strict=True):
            sequence.extend(tokens)


def can_cache(encoder: Any) -> bool:
    """Whether the backbone's attention accepts earlier keys and values."""
    return bool(getattr(encoder, "_supports_attention_backend", False))


@contextmanager
def attending_to(cache: KeyValueCache, encoder: Any) -> Iterator[None]:
    """Let the encoder's tokens attend to the cache as well.

    The attention mask must then be (S, 1, new, past + new).
    """
    with _lock:
        before = encoder.config._attn_implementation
        encoder.config._attn_implementation = _NAME
        _active.cache = cache
        try:
            yield
        finally:
            _active.cache = None
            encoder.config._attn_implementation = before


def _cached_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    key, value = _active.cache.extend(key, value)
    batch, heads, tokens, width = query.shape
    groups = heads // key.shape[1]
    if groups == 1:
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
    # The heads that share a key become further tokens of one head: repeating the keys, as
    # transformers does, would copy the whole past for every turn.
    assert mask is not None
    query = query.reshape(batch, key.shape[1], groups * tokens, width)
    mask = mask.repeat(1, 1, groups, 1)
    output, _ = sdpa_attention_forward(_UNGROUPED, query, key, value, mask, **kwargs)
    output = torch.unflatten(output, 1, (groups, tokens)).permute(0, 2, 3, 1, 4)
    return output.reshape(batch, tokens, heads, width), None


AttentionInterface.register(_NAME, _cached_attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
