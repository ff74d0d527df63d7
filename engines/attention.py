"""Compute attention in float32 under autocast, where a CPU is faster that way."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from statistics import median
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from .auto_dtype import remembered_gain

_NAME = "sdpa_in_float32"
_ROUNDS = 5
_SHAPE = 2, 12, 192, 32  # dialogues, heads, tokens, width of a head


@contextmanager
def fastest_attention(encoders: Iterable[Any], device: torch.device) -> Iterator[None]:
    """Let transformers that learn under autocast attend in float32 if that is faster.

    The backward pass of PyTorch's fused attention takes longer in bfloat16 than in
    float32 on CPUs that have units for products alone.

    Args:
        encoders: Transformers; those with another attention than PyTorch's stay as they
            are.
        device: Where they compute.
    """
    configs = [encoder.config for encoder in encoders if encoder.config._attn_implementation == "sdpa"]
    if device.type != "cpu" or not configs or not _is_faster():
        configs = []
    for config in configs:
        config._attn_implementation = _NAME
    try:
        yield
    finally:
        for config in configs:
            config._attn_implementation = "sdpa"


@lru_cache
def _is_faster() -> bool:
    return remembered_gain("cpu", "bfloat16 attention", lambda *_: _gain()) < 1


def _gain() -> float:
    """How many times faster a step of attention is in bfloat16 than in float32."""
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    mask = torch.zeros(_SHAPE[0], 1, _SHAPE[2], _SHAPE[2])
    for _ in range(_ROUNDS):
        for dtype, taken in seconds.items():
            states = torch.ones(_SHAPE, dtype=dtype, requires_grad=True)
            started = perf_counter()
            F.scaled_dot_product_attention(states, states, states, mask.to(dtype)).sum().backward()  # type: ignore[no-untyped-call]
            taken.append(perf_counter() - started)
    return median(seconds[torch.float32]) / median(seconds[torch.bfloat16])


def _attention_in_float32(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if mask is not None and mask.is_floating_point():
        mask = mask.float()
    with torch.autocast(query.device.type, enabled=False):
        output, weights = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), mask, **options
        )
    return output.to(query.dtype), weights


AttentionInterface.register(_NAME, _attention_in_float32)
AttentionMaskInterface.register(_NAME, sdpa_mask)
