"""DialogueGCN (Ghosal et al., EMNLP 2019): recurrence, then a graph over turns."""

from typing import Any

import torch
from torch import nn

from .attention import distances, masked_softmax, run_both_ways, window_mask
from .base import ContextModule

PAST, FUTURE = 10, 10  # section 4.3
BASES = 30


class DialogueGCNContext(ContextModule):
    """BiGRU, relational graph convolution, plain graph convolution (sections 3.2-3.4).

    As in the paper: windows of 10 turns either way and the turn itself; a relation for
    each (speaker of i, speaker of j, whether j is earlier), 2·M² of them, in 30 bases;
    edge weights softmax_j(g_iᵀ W g_j); both graph layers; the concatenation of the
    sequential and the graph vector.

    Differences from the paper: the widths follow the backbone (H, then H/2) instead of
    200 and 100; the concatenation is projected to H for the package's classifier; the
    attention over the dialogue before the classifier, an option of the authors' code, is
    left out. Speakers beyond `num_local_speakers` share the last index.
    """

    name = "dialoguegcn"
    paper = "Ghosal et al. 2019, DialogueGCN (EMNLP-IJCNLP)"
    graph = "turns within 10 of each other, relations by speaker pair and direction"
    sees_future = True

    def __init__(self, config: Any):
        super().__init__()
        size = config.hidden_size
        self.speakers: int = config.num_local_speakers
        self.sequence = nn.GRU(size, size // 2, num_layers=2, bidirectional=True, batch_first=True)
        width, graph_width = 2 * (size // 2), size // 2
        self.edge = nn.Linear(width, width, bias=False)
        self.coefficients = nn.Embedding(2 * self.speakers**2, BASES)
        self.bases = nn.Linear(width, BASES * graph_width, bias=False)
        self.itself = nn.Linear(width, graph_width)
        self.second_neighbours = nn.Linear(graph_width, graph_width, bias=False)
        self.second_itself = nn.Linear(graph_width, graph_width)
        self.merge = nn.Linear(width + graph_width, size)
        self.dropout = nn.Dropout(config.context_module_dropout)

    def reset(self) -> None:
        nn.init.xavier_uniform_(self.coefficients.weight)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        sequential = run_both_ways(self.sequence, self.dropout(turn_states), turn_mask)
        window = window_mask(turn_mask, PAST, FUTURE)
        weights = masked_softmax(self.edge(sequential) @ sequential.transpose(1, 2), window)
        related = self.related_turns(sequential, weights, speakers, window)
        first = torch.relu(related + weights.diagonal(dim1=1, dim2=2).unsqueeze(-1) * self.itself(sequential))
        neighbours = window.to(first.dtype) @ self.second_neighbours(self.dropout(first))
        second = torch.relu(self.second_itself(first) + neighbours)
        merged: torch.Tensor = self.merge(torch.cat([sequential, second], dim=-1))
        return merged

    def related_turns(
        self, states: torch.Tensor, weights: torch.Tensor, speakers: torch.Tensor, window: torch.Tensor
    ) -> torch.Tensor:
        """Sum the messages of all relations: (B, T, H) → (B, T, H/2).

        Σ_r Σ_j∈N_r(i) α_ij / |N_r(i)| · W_r g_j, with W_r = Σ_b a_rb V_b.
        """
        relation = self.relations(speakers)
        # |N_r(i)|: how many neighbours each turn has by each relation, (B, T, R).
        counts = torch.zeros(
            *relation.shape[:2], self.coefficients.num_embeddings, dtype=states.dtype, device=states.device
        )
        counts = counts.scatter_add(2, relation, window.to(states.dtype))
        shares = weights / counts.gather(2, relation).clamp(min=1)
        transformed = torch.unflatten(self.bases(states), -1, (BASES, -1))  # (B, T, bases, H/2)
        mixture = self.coefficients(relation) * shares.unsqueeze(-1)  # (B, T, T, bases)
        return torch.einsum("bijk,bjkg->big", mixture, transformed)

    def relations(self, speakers: torch.Tensor) -> torch.Tensor:
        """(B, T) → (B, T, T): the relation's index from turn j (column) to i (row)."""
        speakers = speakers.clamp(0, self.speakers - 1)
        pair = speakers.unsqueeze(2) * self.speakers + speakers.unsqueeze(1)
        is_earlier = (distances(speakers.shape[1], speakers.device) < 0).long()
        return is_earlier + 2 * pair
