"""RGAT (Ishiwatari et al., EMNLP 2020): graph attention by relation and distance."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .attention import distances, masked_softmax, same_speaker, window_mask
from .base import ContextModule, ContextPart

PAST, FUTURE, LAYERS, HEADS, RELATIONS = 5, 5, 3, 8, 4


class RGATContext(ContextModule):
    """Relation-aware graph attention over nearby turns (sections 3.2 and 3.3).

    The relations are {same speaker, another} × {past with the turn itself, future}. A
    head's weight is the softmax over all neighbours of LeakyReLU(a_r,left · W_r h_i +
    a_r,right · W_r h_j + p_r(j - i)), its value W_r h_j. As in the paper: three layers,
    eight heads, the concatenation of turn and graph vectors; the window is that of the
    only public port.

    Differences from the paper: p_r is a table over the window's distances for each
    relation and head, the most general function of them, where the port fits a line; the
    concatenation is projected to H for the package's classifier.
    """

    name = "rgat"
    paper = "Ishiwatari et al. 2020, RGAT with relational position encodings (EMNLP)"
    graph = (
        "turns within 5 of each other, relations by same speaker and direction, learnt positions by relation"
    )
    sees_future = True

    def __init__(self, config: Any):
        super().__init__()
        size = config.hidden_size
        self.layers = nn.ModuleList(
            RelationalAttention(size, config.context_module_dropout) for _ in range(LAYERS)
        )
        self.merge = nn.Linear(2 * size, size)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        window, relation = window_mask(turn_mask, PAST, FUTURE), relations(speakers)
        states = turn_states
        for layer in self.layers:
            states = layer(states, window, relation)
        merged: torch.Tensor = self.merge(torch.cat([turn_states, states], dim=-1))
        return merged


class RelationalAttention(ContextPart):
    """A layer of attention by relation and position, with residual and layer norm."""

    def __init__(self, size: int, dropout: float):
        super().__init__()
        self.head_size = max(1, size // HEADS)
        inner = HEADS * self.head_size
        self.values = nn.Linear(size, RELATIONS * inner, bias=False)
        self.left = nn.Parameter(torch.empty(RELATIONS, HEADS, self.head_size))
        self.right = nn.Parameter(torch.empty(RELATIONS, HEADS, self.head_size))
        self.positions = nn.Embedding(RELATIONS * (PAST + FUTURE + 1), HEADS)
        self.output = nn.Linear(inner, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.reset()

    def reset(self) -> None:
        nn.init.xavier_uniform_(self.left)
        nn.init.xavier_uniform_(self.right)

    def forward(self, states: torch.Tensor, window: torch.Tensor, relation: torch.Tensor) -> torch.Tensor:
        """Run one layer over turn vectors (B, T, H) → (B, T, H).

        Args:
            states: The turn vectors.
            window: (B, T, T) bool, the neighbours of each turn.
            relation: (B, T, T), the index of each pair's relation.
        """
        # All W_r h are computed once a turn; a one-hot relation then picks one for each
        # pair (i, j), which avoids a (B, T, T, H) tensor. h is the head, s its width.
        values = torch.unflatten(
            self.values(states), -1, (RELATIONS, HEADS, self.head_size)
        )  # (B, T, R, h, s)
        left, right = (values * self.left).sum(-1), (values * self.right).sum(-1)  # (B, T, R, h)
        picked = F.one_hot(relation, RELATIONS).to(states.dtype)  # (B, T, T, R)
        from_row = torch.einsum("bijr,birh->bhij", picked, left)
        from_column = torch.einsum("bijr,bjrh->bhij", picked, right)
        distance = distances(states.shape[1], states.device).clamp(-PAST, FUTURE) + PAST
        position = self.positions(relation * (PAST + FUTURE + 1) + distance).permute(0, 3, 1, 2)
        logits = from_row + from_column + position
        weights = self.dropout(masked_softmax(F.leaky_relu(logits, 0.2), window.unsqueeze(1)))
        mixed = torch.einsum("bhij,bijr,bjrhs->bihs", weights, picked, values)
        output: torch.Tensor = self.norm(states + self.dropout(self.output(mixed.flatten(2))))
        return output


def relations(speakers: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B, T, T): the index of the relation between turns i (row) and j (column).

    0: the speaker's own past and the turn itself, 1: own future, 2: another speaker's
    past, 3: another's future.
    """
    future = (distances(speakers.shape[1], speakers.device) > 0).long()
    return 2 * (~same_speaker(speakers)).long() + future
