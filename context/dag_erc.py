"""DAG-ERC (Shen et al., ACL 2021): an acyclic graph back to each speaker's turn."""

from typing import Any

import torch
from torch import nn

from .attention import distances, same_speaker, window_mask
from .base import ContextModule

LAYERS = 2


class DAGERCContext(ContextModule):
    """Directed acyclic graph network over turns (sections 3.2 and 3.3).

    A turn's predecessors are the turns since its speaker's last one, including it (all
    earlier turns where there is none; ω = 1). A layer processes turns in order, so that a
    turn reads its predecessors' states of the same layer: their attention-weighted sum by
    relation (same speaker or not), then two gated units, one for the node and one for its
    messages. The states of all layers are concatenated and projected to H.

    Differences from the paper: the half of the attention score that depends on the turn
    itself is left out, because it is the same for all predecessors and cancels in the
    softmax; the width is the backbone's instead of 300.

    The recurrence needs a loop over turns; it is batched over dialogues.
    """

    name = "dag-erc"
    paper = "Shen et al. 2021, DAG-ERC (ACL)"
    graph = "from each turn back to its speaker's last turn, edges by same speaker or not"

    def __init__(self, config: Any):
        super().__init__()
        size = config.hidden_size
        self.project = nn.Linear(size, size)
        self.layers = nn.ModuleList(DAGLayer(size) for _ in range(LAYERS))
        self.merge = nn.Linear((LAYERS + 2) * size, size)
        self.dropout = nn.Dropout(config.context_module_dropout)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        allowed, same = predecessors(speakers, turn_mask), same_speaker(speakers)
        levels = [torch.relu(self.project(self.dropout(turn_states)))]
        for layer in self.layers:
            levels.append(layer(levels[-1], allowed, same))
        merged: torch.Tensor = self.merge(torch.cat([*levels, turn_states], dim=-1))
        return merged


class DAGLayer(nn.Module):
    """One layer, computed turn by turn."""

    def __init__(self, size: int):
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)
        self.from_own, self.from_other = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.node, self.received = nn.GRUCell(size, size), nn.GRUCell(size, size)

    def forward(self, states: torch.Tensor, allowed: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        """Run one layer over turn vectors (B, T, H) → (B, T, H).

        Args:
            states: The turn vectors of the layer below.
            allowed: (B, T, T), the predecessors of each turn.
            same: (B, T, T), whether two turns share a speaker.
        """
        done: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        messages: list[tuple[torch.Tensor, torch.Tensor]] = []
        for index in range(states.shape[1]):
            below = states[:, index]
            message = torch.zeros_like(below)
            if index:
                # Padding has no predecessors: its message is a mean that is never read.
                hidden = ~allowed[:, index, :index]
                score = torch.cat(scores, dim=1)
                score = score.masked_fill(hidden, torch.finfo(score.dtype).min)
                own, other = (torch.stack(kind, dim=1) for kind in zip(*messages, strict=True))
                values = torch.where(same[:, index, :index].unsqueeze(-1), own, other)
                message = (score.softmax(-1).unsqueeze(1) @ values).squeeze(1)
            state = self.node(below, message) + self.received(message, below)
            done.append(state)
            scores.append(self.score(state))
            messages.append((self.from_own(state), self.from_other(state)))
        return torch.stack(done, dim=1)


def predecessors(speakers: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B, T, T) bool: whether turn j (column) is a predecessor of turn i (row).

    The predecessors are the earlier turns from the speaker's last one on.
    """
    earlier = distances(speakers.shape[1], speakers.device) < 0
    indices = torch.arange(speakers.shape[1], device=speakers.device)
    last_own = torch.where(same_speaker(speakers) & earlier, indices, -1).amax(-1, keepdim=True)
    return window_mask(turn_mask, None, -1) & (indices >= last_own)
