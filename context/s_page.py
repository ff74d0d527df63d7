"""S+PAGE (Liang et al., AACL 2022): speaker streams and a position-aware graph."""

from typing import Any

import torch
from torch import nn

from .attention import AttentionBlock, distances, masked_softmax, same_speaker, window_mask
from .base import ContextModule

HEADS, PAST, FUTURE, DISTANCE_REACH, RELATIONS = 8, 10, 10, 10, 4


class SPAGEContext(ContextModule):
    """Two-stream conversational transformer and position-aware graph (PAG).

    One stream attends to the speaker's own turns, one to the others' and one to the whole
    context; they are fused for each turn. The graph's edges lie within a window, typed by
    {same speaker, another} × {past with the turn itself, future}; their weights are
    attention with relative positions, and messages are summed by relation as in an R-GCN.
    The output is the sum of both stages.

    Neither code nor hyperparameters are public: windows, heads and depth are this
    package's choice, and the window reaches forward, which the abstract leaves open. The
    conditional random field of the preprint is left out, as in the AACL abstract.
    """

    name = "s-page"
    paper = "Liang et al. 2022, S+PAGE (AACL-IJCNLP)"
    graph = "own, others' and all turns by stream; turns within 10 of each other by speaker and direction"
    sees_future = True

    def __init__(self, config: Any):
        super().__init__()
        size, dropout = config.hidden_size, config.context_module_dropout
        self.whole, self.own, self.others = (
            AttentionBlock(size, HEADS, size, dropout, reach=DISTANCE_REACH) for _ in range(3)
        )
        self.fuse = nn.Linear(3 * size, size)
        self.graph_layer = PositionAwareGraph(size, dropout)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        all_turns, same = window_mask(turn_mask, None, None), same_speaker(speakers)
        streams = [
            self.whole(turn_states, all_turns),
            self.own(turn_states, all_turns & same),
            self.others(turn_states, all_turns & ~same),
        ]
        fused = torch.relu(self.fuse(torch.cat(streams, dim=-1)))
        graph: torch.Tensor = self.graph_layer(fused, same, window_mask(turn_mask, PAST, FUTURE))
        return fused + graph


class PositionAwareGraph(nn.Module):
    """A layer of messages by relation, weighted by attention with relative positions."""

    def __init__(self, size: int, dropout: float):
        super().__init__()
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.positions = nn.Embedding(PAST + FUTURE + 1, 1)
        self.by_relation = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(RELATIONS))
        self.itself = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: torch.Tensor, same: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        """Run one layer over turn vectors (B, T, H) → (B, T, H).

        Args:
            states: The turn vectors.
            same: (B, T, T) bool, whether two turns share a speaker.
            window: (B, T, T) bool, the neighbours of each turn.
        """
        distance = distances(states.shape[1], states.device)
        scores = self.query(states) @ self.key(states).transpose(1, 2) / states.shape[-1] ** 0.5
        scores = scores + self.positions(distance.clamp(-PAST, FUTURE) + PAST).squeeze(-1)
        weights = self.dropout(masked_softmax(scores, window))
        past = distance <= 0
        kinds = (same & past, same & ~past, ~same & past, ~same & ~past)
        messages = [
            layer((weights * kind) @ states) for layer, kind in zip(self.by_relation, kinds, strict=True)
        ]
        return torch.relu(self.itself(states) + torch.stack(messages).sum(0))
