"""Compute all members of a classifier in one batched product.

Shapes: N turns, M members, H the width of a turn vector, C emotions.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..layers.heads import HeadEnsemble


class Masks:
    """Dropout whose random numbers take a tenth of the time of PyTorch's on a CPU.

    Args:
        seed: Seed of the masks.
    """

    def __init__(self, seed: int):
        self.random = np.random.Generator(np.random.SFC64(seed))

    def __call__(self, values: torch.Tensor, rate: float, copies: int | None = None) -> torch.Tensor:
        """Drop values (...) with probability `rate`; scale the others by 1/(1 - rate).

        Args:
            values: On any device.
            rate: From 0 to 1.
            copies: Give so many copies (copies, ...), each with a mask of its own.
        """
        shape = values.shape if copies is None else (copies, *values.shape)
        if not 0 < rate < 1 or values.device.type != "cpu":
            return F.dropout(values.expand(shape), rate)
        size = math.prod(shape)
        # PyTorch multiplies by bytes twice as fast as by booleans.
        if rate == 0.5:
            random = self.random.integers(0, 256, (size + 7) // 8, dtype=np.uint8)
            doubled = np.unpackbits(random, count=size) << 1
            return values * torch.from_numpy(doubled).view(shape)
        dropped = min(max(round(rate * 2**16), 1), 2**16 - 1)  # a rate to 1/131,072
        kept = self.random.integers(0, 2**16, size, dtype=np.uint16) >= dropped
        scaled = values * (2**16 / (2**16 - dropped))
        return scaled * torch.from_numpy(kept.view(np.uint8)).view(shape)


class HeadStack:
    """The members of a classifier as stacked tensors, for training.

    The members' parameters become views of the stack, and their gradients views of the
    stack's gradients: an optimizer of the classifier's parameters updates the stack.
    [`merged`] lets it do so in fewer, larger tensors.

    Args:
        classifier: A [`HeadEnsemble`], or a single head.
        dtype: The precision of the products; the parameters keep theirs.
    """

    def __init__(self, classifier: nn.Module, dtype: torch.dtype = torch.float32):
        self.classifier = classifier
        self.members: list[Any] = list(
            classifier.members if isinstance(classifier, HeadEnsemble) else [classifier]
        )
        self.layers = [
            _StackedLinear([member[index] for member in self.members], dtype)
            if isinstance(layer, nn.Linear)
            else layer
            for index, layer in enumerate(self.members[0])
        ]

    def __call__(self, states: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        """Compute the members' logits (M, N, C) of turn vectors (N, H).

        With `masks` as in training: with dropout, and with gradients.
        """
        values, size = states, len(self.members)
        for layer in self.layers:
            if not isinstance(layer, nn.Dropout):
                values = layer(values)
            elif masks is not None and layer.p:
                values = masks(values, layer.p, size if values.dim() == 2 else None)
        return values

    def averaged(self, logits: torch.Tensor) -> torch.Tensor:
        """(M, N, C) → (N, C), as the classifier averages its members."""
        if isinstance(self.classifier, HeadEnsemble):
            return self.classifier.averaged(logits.transpose(0, 1))
        return logits[0]

    def merged(self, parameters: Sequence[nn.Parameter]) -> list[torch.Tensor]:
        """Replace the members' parameters by a stack where those of all are given."""
        kept = {id(parameter): parameter for parameter in parameters}
        stacks: list[torch.Tensor] = []
        for layer in self.layers:
            for stack, views in layer.stacks() if isinstance(layer, _StackedLinear) else ():
                if all(id(view) in kept for view in views):
                    stacks.append(stack)
                    for view in views:
                        del kept[id(view)]
        return [*kept.values(), *stacks]

    def release(self) -> None:
        """Give each member tensors of its own again."""
        for layer in self.layers:
            if isinstance(layer, _StackedLinear):
                layer.release()


class _StackedLinear:
    """Linear layers of one shape: (N, I) or (M, N, I) → (M, N, O)."""

    def __init__(self, layers: list[nn.Linear], dtype: torch.dtype):
        self.layers = layers
        self.weight = _joined([layer.weight for layer in layers])
        self.bias = _joined([layer.bias for layer in layers])
        # The weights as products read them; in another dtype a copy, renewed each step.
        self.factor = self.weight.detach().to(dtype)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        values = values.expand(len(self.layers), -1, -1)
        if torch.is_grad_enabled():
            result: torch.Tensor = _Product.apply(values, self.bias, self)  # type: ignore[no-untyped-call]
            return result
        return torch.baddbmm(self.bias.unsqueeze(1), values, self.weight.transpose(1, 2))

    def stacks(self) -> list[tuple[torch.Tensor, list[nn.Parameter]]]:
        """The stacked tensors, each with the members' views."""
        weights, biases = ([getattr(layer, name) for layer in self.layers] for name in ("weight", "bias"))
        return [(self.weight, weights), (self.bias, biases)]

    def release(self) -> None:
        for _, views in self.stacks():
            for parameter in views:
                parameter.data, parameter.grad = parameter.data.clone(), None


class _Product(torch.autograd.Function):
    """The product of a stacked layer; its gradients go straight into the stack's.

    PyTorch's own backward of a batched product transposes the gradient of the weights,
    which takes longer than the product.
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, bias: torch.Tensor, layer: _StackedLinear) -> torch.Tensor:
        if layer.factor.dtype != layer.weight.dtype:
            layer.factor.copy_(layer.weight)
        values = values.to(layer.factor.dtype)
        ctx.save_for_backward(values)
        ctx.layer = layer
        bias = bias.to(values.dtype).unsqueeze(1)
        return torch.baddbmm(bias, values, layer.factor.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        (gradient,), (values,) = gradients, ctx.saved_tensors
        layer: _StackedLinear = ctx.layer
        assert layer.weight.grad is not None and layer.bias.grad is not None
        if gradient.dtype == layer.weight.dtype:
            torch.bmm(gradient.transpose(1, 2), values, out=layer.weight.grad)
        else:
            layer.weight.grad.copy_(torch.bmm(gradient.transpose(1, 2), values))
        torch.sum(gradient, 1, dtype=layer.bias.dtype, out=layer.bias.grad)
        return torch.bmm(gradient, layer.factor) if ctx.needs_input_grad[0] else None, None, None


def _joined(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack parameters with their gradients, and make them views of the stack."""
    stack = torch.stack([parameter.detach() for parameter in parameters])
    gradient = torch.zeros_like(stack)
    for index, parameter in enumerate(parameters):
        parameter.data, parameter.grad = stack[index], gradient[index]
    stack.requires_grad_().grad = gradient
    return stack
