"""Compute all members of a classifier in one batched product.

Shapes: N turns, M members, H the width of a turn vector, C emotions.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

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

    def __call__(self, shape: Sequence[int], rate: float, device: torch.device) -> torch.Tensor:
        """Return factors (*shape): 0 with probability `rate`, else 1/(1 - rate).

        Args:
            shape: Of the values to drop.
            rate: From 0 to 1.
            device: On a CPU, the factors of a rate of one half are bytes.
        """
        if not 0 < rate < 1 or device.type != "cpu":
            return F.dropout(torch.ones(tuple(shape), device=device), rate)
        size = math.prod(shape)
        # PyTorch multiplies by bytes twice as fast as by booleans.
        if rate == 0.5:
            random = self.random.integers(0, 256, (size + 7) // 8, dtype=np.uint8)
            return torch.from_numpy(np.unpackbits(random, count=size) << 1).view(*shape)
        dropped = min(max(round(rate * 2**16), 1), 2**16 - 1)  # a rate to 1/131,072
        kept = self.random.integers(0, 2**16, size, dtype=np.uint16) >= dropped
        return torch.from_numpy(kept * np.float32(2**16 / (2**16 - dropped))).view(*shape)


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
        self.layers: list[_Layer] = []
        for index, layer in enumerate(self.members[0]):
            if isinstance(layer, nn.Linear):
                self.layers.append(_StackedLinear([member[index] for member in self.members], dtype))
            elif isinstance(layer, nn.Dropout):
                self.layers.append(_Dropout(layer.p, len(self.members)))
            else:
                self.layers.append(_ReLU())

    @torch.no_grad()
    def __call__(self, states: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        """Compute the members' logits (M, N, C) of turn vectors (N, H).

        With `masks` as in training: with dropout, and with what `backward` needs.
        """
        values = states
        for layer in self.layers:
            values = layer.forward(values, masks)
        return values

    @torch.no_grad()
    def backward(self, gradient: torch.Tensor, to_states: bool = False) -> torch.Tensor | None:
        """Write the parameters' gradients, from that of the last call's logits (M, N, C).

        They are written, not added: PyTorch's own backward of a batched product
        transposes the gradient of the weights, which takes longer than the product.

        Returns:
            With `to_states`, the gradient (N, H) of the turn vectors.
        """
        lowest = next(index for index, layer in enumerate(self.layers) if isinstance(layer, _StackedLinear))
        for index, layer in reversed(list(enumerate(self.layers))):
            if index < lowest and not to_states:
                break
            gradient = layer.backward(gradient, to_states or index > lowest)
        return gradient.sum(0, dtype=torch.float32) if to_states else None

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


class _Layer(Protocol):
    def forward(self, values: torch.Tensor, masks: Masks | None) -> torch.Tensor: ...

    def backward(self, gradient: torch.Tensor, to_values: bool) -> torch.Tensor: ...


class _Dropout:
    """Dropout; values (N, I) become (M, N, I), with a mask for each member."""

    def __init__(self, rate: float, members: int):
        self.rate, self.members = rate, members

    def forward(self, values: torch.Tensor, masks: Masks | None) -> torch.Tensor:
        self.factors: torch.Tensor | None = None
        if masks is None or not self.rate:
            return values
        shape = values.shape if values.dim() == 3 else (self.members, *values.shape)
        self.factors = masks(shape, self.rate, values.device)
        return (values * self.factors).to(values.dtype)

    def backward(self, gradient: torch.Tensor, to_values: bool) -> torch.Tensor:
        return gradient if self.factors is None else (gradient * self.factors).to(gradient.dtype)


class _ReLU:
    def forward(self, values: torch.Tensor, masks: Masks | None) -> torch.Tensor:
        self.result = values.clamp_(min=0)  # the product's own tensor
        return self.result

    def backward(self, gradient: torch.Tensor, to_values: bool) -> torch.Tensor:
        result: torch.Tensor = torch.ops.aten.threshold_backward(gradient, self.result, 0)
        return result


class _StackedLinear:
    """Linear layers of one shape: (N, I) or (M, N, I) → (M, N, O)."""

    def __init__(self, layers: list[nn.Linear], dtype: torch.dtype):
        self.layers, self.dtype = layers, dtype
        self.weight = _joined([layer.weight for layer in layers])
        self.bias = _joined([layer.bias for layer in layers])
        # The weights as products read them; in another dtype a copy, renewed each step.
        self.factor = self.weight.detach().to(dtype)

    def forward(self, values: torch.Tensor, masks: Masks | None) -> torch.Tensor:
        values, factor, bias = values.expand(len(self.layers), -1, -1), self.weight.detach(), self.bias
        if masks is not None:
            if self.dtype != factor.dtype:
                factor = self.factor.copy_(factor)
            self.values = values = values.to(self.dtype)
            bias = bias.to(self.dtype)
        return torch.baddbmm(bias.unsqueeze(1), values, factor.transpose(1, 2))

    def backward(self, gradient: torch.Tensor, to_values: bool) -> torch.Tensor:
        assert self.weight.grad is not None and self.bias.grad is not None
        gradient = gradient.to(self.dtype)
        if gradient.dtype == self.weight.dtype:
            torch.bmm(gradient.transpose(1, 2), self.values, out=self.weight.grad)
        else:
            self.weight.grad.copy_(torch.bmm(gradient.transpose(1, 2), self.values))
        torch.sum(gradient, 1, dtype=self.bias.dtype, out=self.bias.grad)
        return torch.bmm(gradient, self.factor) if to_values else gradient

    def stacks(self) -> list[tuple[torch.Tensor, list[nn.Parameter]]]:
        """The stacked tensors, each with the members' views."""
        weights, biases = ([getattr(layer, name) for layer in self.layers] for name in ("weight", "bias"))
        return [(self.weight, weights), (self.bias, biases)]

    def release(self) -> None:
        for _, views in self.stacks():
            for parameter in views:
                parameter.data, parameter.grad = parameter.data.clone(), None


def _joined(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack parameters with their gradients, and make them views of the stack."""
    stack = torch.stack([parameter.detach() for parameter in parameters])
    gradient = torch.zeros_like(stack)
    for index, parameter in enumerate(parameters):
        parameter.data, parameter.grad = stack[index], gradient[index]
    stack.requires_grad_().grad = gradient
    return stack
