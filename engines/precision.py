"""Compute a model's matrix products in 16 bits, and everything else in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from ..constants import AUTO
from ..errors import EmoNetError
from .auto_dtype import resolved_dtype

Model = TypeVar("Model")  # or an engine in its place


class _HalfLinear(nn.Linear):
    """A linear layer with weights of 16 bits between states of 32."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return F.linear(states.to(self.weight.dtype), self.weight, self.bias).to(states.dtype)


def computing_in(model: Model, dtype: str) -> Model:
    """Let a model that is only evaluated compute in a dtype.

    In 16 bits, the linear layers of its transformers have weights and products of that
    type. Sums between layers, attention, norms, context modules and heads stay float32
    (results/benchmarks/notes.md compares this with other choices). `auto` leaves a model
    that is stored in another type than float32 as it is.

    Args:
        model: A model, or an engine in its place; it is changed.
        dtype: One of `DTYPES`.

    Raises:
        EmoNetError: for an exported graph, whose dtype was chosen on export, unless
            `dtype` is `auto`; and for an unknown dtype.
    """
    if not isinstance(model, nn.Module):
        refuse_for_graph(dtype)
        return model
    name = dtype_for(model, dtype)
    if name == "float32":
        return model if dtype == AUTO else model.float()
    for encoder in encoders_of(model):
        for layer in _linear_layers(encoder):
            _halve(layer, getattr(torch, name))
    return model


def refuse_for_graph(dtype: str) -> None:
    """Raise an EmoNetError for another dtype than `auto` with an exported graph."""
    if dtype != AUTO:
        raise EmoNetError(
            "--dtype is for the torch engine: an ONNX graph computes as it was exported (float32, or --int8)."
        )


def dtype_for(model: Any, dtype: str) -> str:
    """The dtype of `computing_in`: with `auto`, that of stored weights of 16 bits."""
    stored = str(model.adapted.dtype).removeprefix("torch.")
    return stored if dtype == AUTO and stored != "float32" else resolved_dtype(dtype, model.device)


@contextmanager
def encoder_in(dtype: str, encoder: nn.Module) -> Iterator[None]:
    """Let a transformer compute in a resolved dtype, and give its weights back whole."""
    layers = [] if dtype == "float32" else _linear_layers(encoder)
    weights = [[parameter.data for parameter in layer.parameters(recurse=False)] for layer in layers]
    try:
        for layer in layers:
            _halve(layer, getattr(torch, dtype))
        yield
    finally:
        for layer, values in zip(layers, weights, strict=True):
            layer.__class__ = nn.Linear
            for parameter, value in zip(layer.parameters(recurse=False), values, strict=True):
                parameter.data = value


def trains_encoder(model: Any) -> bool:
    """Whether one of a model's transformers learns."""
    return any(
        parameter.requires_grad for encoder in encoders_of(model) for parameter in encoder.parameters()
    )


def encoders_of(model: Any) -> list[Any]:
    """The transformers of a model: its backbone, and a memory encoder of its own."""
    memory_encoder = getattr(getattr(model, "emonet", model), "memory_encoder", None)
    return [encoder for encoder in (model.adapted, memory_encoder) if encoder is not None]


def _linear_layers(encoder: nn.Module) -> list[nn.Linear]:
    """The linear layers of PyTorch's own class: those in 4 bits are of another."""
    return [layer for layer in encoder.modules() if type(layer) is nn.Linear]


def _halve(layer: nn.Linear, dtype: torch.dtype) -> None:
    layer.__class__ = _HalfLinear
    for parameter in layer.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
