"""Context modules: what runs over a dialogue's turn vectors behind the backbone.

The interface: `module(turn_states, speaker_ids, turn_mask) -> turn_states` with shapes (B, T, H), (B, T), (B, T) → (B, T, H);
`sees_future` says whether a later turn may change an earlier one. A module that can go on from where it stopped has
`resume(turn_states, state) -> (turn_states, state)`, which streaming needs. A new system is one class and one entry in
`CONTEXT_MODULES`.
"""

import torch
from torch import nn


class GRUContext(nn.Module):
    """A unidirectional GRU over turns, added to the turn vectors: the plainest causal context."""

    sees_future = False

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, turn_states: torch.Tensor, speaker_ids: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
        # Padding stands behind the real turns, so a forward GRU never carries it into them.
        return self.resume(turn_states)[0]

    def resume(self, turn_states: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """New turns (B, T, H) behind those that left `state` (1, B, H) → their states, and the state they leave."""
        states, last = self.gru(self.dropout(turn_states), state)
        return turn_states + states, last


CONTEXT_MODULES: dict[str, type[nn.Module]] = {"gru": GRUContext}


def build_context_module(name: str, hidden_size: int, dropout: float) -> nn.Module | None:
    """The context module of that name, or None for `none`."""
    return None if name == "none" else CONTEXT_MODULES[name](hidden_size, dropout)
