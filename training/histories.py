"""Read a frozen speaker memory while its GRU is trained.

The memory's vectors never change. The GRU's product with an utterance is computed once
for all turns of a step whose history has it, and the steps through the histories have a
backward pass of their own: PyTorch's GRU reads each utterance once for each such turn,
and on a CPU walks a graph of some thirty nodes a step.

Shapes: N turns, K history indices, U distinct utterances, H the width of a turn vector,
S that of the GRU.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..layers.speaker_memory import SpeakerMemory


def with_histories(
    memory: SpeakerMemory, vectors: torch.Tensor, index: torch.Tensor, states: torch.Tensor
) -> torch.Tensor:
    """Merge turn vectors (N, H) with their speakers' memories, as the memory itself does.

    Args:
        memory: The memory.
        vectors: (U, H) utterances, standardised.
        index: (N, K) rows of them, oldest first, -1 for none.
        states: (N, H), the turn vectors.
    """
    lengths = (index >= 0).sum(1)
    # The longest first, so that a step reads the first rows.
    order = torch.argsort(lengths, descending=True, stable=True)
    order = order[: int((lengths > 0).sum())]
    if not len(order):
        return memory.merged(states, torch.zeros_like(states))
    lengths, readers = lengths[order], states[order]
    index = index[order, : int(lengths[0])]
    outputs = gru_states(memory.gru, vectors, index.clamp(min=0), lengths)
    read = memory.summary(outputs, lengths, readers)
    if memory.fusion == "concat":  # a turn without history is merged too
        return memory.merged(states, torch.zeros_like(states).index_copy(0, order, read))
    if memory.merge is not None:
        weight, bias = memory.merge.weight, memory.merge.bias
        gates: torch.Tensor = _Merge.apply(readers, read, weight, bias)  # type: ignore[no-untyped-call]
        read = gates.sigmoid() * read
    return states.index_copy(0, order, readers + read)


class _Merge(torch.autograd.Function):
    """A linear layer of [states; read], whose states seldom need a gradient."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, read: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """(N, H) and (N, H) → (N, H)."""
        both = torch.cat([states, read], -1)
        ctx.save_for_backward(both, weight)
        return F.linear(both, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,), (both, weight) = gradients, ctx.saved_tensors
        of_states, of_read = weight.chunk(2, 1)
        return (
            gradient @ of_states if ctx.needs_input_grad[0] else None,
            gradient @ of_read,
            gradient.T @ both,
            gradient.sum(0),
        )


def gru_states(
    gru: nn.GRU, utterances: torch.Tensor, rows: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Run a GRU over histories of shared utterances.

    Args:
        gru: One way, batch first.
        utterances: (U, H).
        rows: (N, K), the rows of `utterances` of each history; any row after its end.
        lengths: (N,), falling, at least 1.

    Returns:
        (N, K, S); zeros after a history's end.
    """
    steps = torch.arange(rows.shape[1], device=rows.device)
    counts: list[int] = (lengths[:, None] > steps).sum(0).tolist()
    rows, values, outputs = rows.T, utterances, utterances
    for layer in range(gru.num_layers):
        weight, inner, bias, inner_bias = (
            getattr(gru, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if layer:
            values = F.dropout(outputs, gru.dropout, gru.training).flatten(0, 1)
            rows = torch.arange(len(values), device=rows.device).view(rows.shape)
        gates = F.linear(values, weight, bias)
        outputs = _Steps.apply(gates, rows, counts, inner, inner_bias)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1)


class _Steps(torch.autograd.Function):
    """The steps of a GRU layer, time first; the gates' order is PyTorch's: r, z, n."""

    @staticmethod
    def forward(
        ctx: Any,
        gates: torch.Tensor,
        rows: torch.Tensor,
        counts: list[int],
        weight: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Gates (U, 3S) of the utterances, rows (K, N), turns a step → (K, N, S)."""
        size = weight.shape[1]
        inputs = gates[rows]  # (K, N, 3S); in place, they become r, z and n
        products = torch.empty_like(inputs)
        states = inputs.new_zeros(len(rows) + 1, rows.shape[1], size)
        for step, count in enumerate(counts):
            before, now, product = states[step, :count], inputs[step, :count], products[step, :count]
            torch.addmm(bias, before, weight.T, out=product)
            gate, new = now[:, : 2 * size], now[:, 2 * size :]
            gate.add_(product[:, : 2 * size]).sigmoid_()
            new.addcmul_(gate[:, :size], product[:, 2 * size :]).tanh_()
            torch.lerp(new, before, gate[:, size:], out=states[step + 1, :count])
        ctx.save_for_backward(rows, weight, inputs, products, states)
        ctx.counts, ctx.utterances = counts, len(gates)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (outputs,), (rows, weight, inputs, products, states) = gradients, ctx.saved_tensors
        size = weight.shape[1]
        reset, update, new = inputs.split(size, -1)
        # What the gradient of a step's result is multiplied by, for all steps at once.
        to_new = (1 - update).mul_(1 - new * new)
        to_update = (states[:-1] - new).mul_(update * (1 - update))
        to_reset = products[..., 2 * size :] * (reset * (1 - reset))
        of_products = torch.zeros_like(inputs)  # zeros after a history's end
        of_new = torch.zeros_like(to_new)
        later = torch.zeros_like(states[0])
        for step, count in reversed(list(enumerate(ctx.counts))):
            result, product = later[:count].add_(outputs[step, :count]), of_products[step, :count]
            candidate = torch.mul(result, to_new[step, :count], out=of_new[step, :count])
            torch.mul(candidate, to_reset[step, :count], out=product[:, :size])
            torch.mul(result, to_update[step, :count], out=product[:, size : 2 * size])
            torch.mul(candidate, reset[step, :count], out=product[:, 2 * size :])
            result.mul_(update[step, :count]).addmm_(product, weight)
        of_inputs = torch.cat([of_products[..., : 2 * size], of_new], -1).flatten(0, 1)
        of_gates = inputs.new_zeros(ctx.utterances, 3 * size).index_add_(0, rows.flatten(), of_inputs)
        flat = of_products.flatten(0, 1)
        return of_gates, None, None, flat.T @ states[:-1].flatten(0, 1), flat.sum(0)
