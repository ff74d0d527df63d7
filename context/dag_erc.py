"""DAG-ERC (Shen et al., ACL 2021): a graph without cycles, from each turn back to its
speaker's last one.
"""

from typing import Any

import torch
from torch import nn

from .attention import distances, same_speaker, window_mask
from .base import ContextModule

LAYERS = 2


class DAGERCContext(ContextModule):
    """Directed acyclic graph network over turns (sections 3.2 and 3.3).

    A turn's predecessors are the turns since its speaker's last one, that one included
    (all earlier turns where there is none; ω = 1). In a layer turns are taken in order,
    so that a turn reads its predecessors' states of the same layer: their
    attention-weighted sum by relation (same speaker or not), then two gated units, for
    the node and for what it received. The states of all layers are concatenated and
    projected to H. Differs: the half of the attention's score that comes from the turn
    itself is left out, because it is the same for all its predecessors, which a softmax
    does not see; the width is the backbone's, where the paper has 300.

    The loop over turns is what the recurrence asks for; it is batched over dialogues.
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
        return self.merge(torch.cat([*levels, turn_states], dim=-1))


class DAGLayer(nn.Module):
    """One pass through the turns in order."""

    def __init__(self, size: int):
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)
        self.from_own, self.from_other = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.node, self.received = nn.GRUCell(size, size), nn.GRUCell(size, size)

    def forward(self, states: torch.Tensor, allowed: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        """(B, T, H), predecessors (B, T, T) and who is one speaker (B, T, T) → (B, T, H)."""
        done: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        messages: list[tuple[torch.Tensor, torch.Tensor]] = []
        for place in range(states.shape[1]):
            below = states[:, place]
            message = torch.zeros_like(below)
            if place:
                # Turns of the padding have no predecessors: theirs is a plain mean that
                # nobody reads.
                hidden = ~allowed[:, place, :place]
                score = torch.cat(scores, dim=1)
                score = score.masked_fill(hidden, torch.finfo(score.dtype).min)
                own, other = (torch.stack(kind, dim=1) for kind in zip(*messages, strict=True))
                values = torch.where(same[:, place, :place].unsqueeze(-1), own, other)
                message = (score.softmax(-1).unsqueeze(1) @ values).squeeze(1)
            state = self.node(below, message) + self.received(message, below)
            done.append(state)
            scores.append(self.score(state))
            messages.append((self.from_own(state), self.from_other(state)))
        return torch.stack(done, dim=1)


def predecessors(speakers: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B, T, T) bool: is turn j (column) between turn i's speaker's last turn,
    included, and turn i (row)?
    """
    earlier = distances(speakers.shape[1], speakers.device) < 0
    places = torch.arange(speakers.shape[1], device=speakers.device)
    last_own = torch.where(same_speaker(speakers) & earlier, places, -1).amax(-1, keepdim=True)
    return window_mask(turn_mask, None, -1) & (places >= last_own)
