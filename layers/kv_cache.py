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
_active = threading.local()
# Switching the attention changes the encoder's configuration, which threads share.
_lock = threading.RLock()


class KeyValueCache:
    """The earlier keys and values of a batch of sequences, and those of the next pass.

    Args:
        past: For each sequence, its layers; an empty list for a new sequence.
    """

    def __init__(self, past: list[Layers]):
        self.past = past
        self.added: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.tokens = max((layers[0][0].shape[1] for layers in past if layers), default=0)

    def extend(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the padded past in front of the next layer's new keys and values.

        Args:
            key: New keys (S, heads, N, width).
            value: New values of the same shape.
        """
        layer = len(self.added)
        self.added.append((key, value))
        if not self.tokens:
            return key, value
        return self._prepend_past(key, layer, 0), self._prepend_past(value, layer, 1)

    def _prepend_past(self, new: torch.Tensor, layer: int, kind: int) -> torch.Tensor:
        """Kind 0 is the keys, 1 the values."""
        past = new.new_zeros(new.shape[0], new.shape[1], self.tokens, new.shape[3])
        for row, layers in enumerate(self.past):
            if layers:
                tensor = layers[layer][kind]
                past[row, :, : tensor.shape[1]] = tensor
        return torch.cat([past, new], dim=2)

    def layers(self, row: int, tokens: int) -> Layers:
        """Return a sequence's layers after a pass with `tokens` new tokens."""
        new = [(key[row, :, :tokens], value[row, :, :tokens]) for key, value in self.added]
        if not self.past[row]:
            return [(key.clone(), value.clone()) for key, value in new]
        return [
            (torch.cat([old_key, key], dim=1), torch.cat([old_value, value], dim=1))
            for (old_key, old_value), (key, value) in zip(self.past[row], new, strict=True)
        ]


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
    return sdpa_attention_forward(module, query, key, value, mask, **kwargs)


AttentionInterface.register(_NAME, _cached_attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
