"""TUCORE-GCN (Lee & Choi, EMNLP 2021): a graph of dialogue, turns and speakers."""

from typing import Any

import torch
from torch import nn

from .attention import MaskedAttention, masked_mean, run_both_ways, same_speaker, window_mask
from .base import ContextModule

HEADS, SURROUNDING, ROUNDS = 8, 2, 2


class TUCOREGCNContext(ContextModule):
    """Attention to nearby turns, then two rounds of BiLSTM and R-GCN (section 3).

    Nodes: the dialogue, each turn, each speaker. Edges: dialogue to turns; turns of one
    speaker; a speaker to their turns. A turn's output reads the nodes of the dialogue,
    its speaker and itself at all three levels, nine vectors in all.

    Differences from the paper: one graph serves all turns, and the turn's own node stands
    for the argument; the paper encodes a dialogue anew for each turn, with that turn as
    an argument node. The dialogue's node starts as the mean of the turns instead of
    [CLS], a speaker's as the mean of their turns. The nine vectors are projected to H for
    the package's softmax classifier, where the paper makes binary decisions. A turn
    attends to two turns either way. One dropout rate serves both the recurrence and the
    graph.
    """

    name = "tucore-gcn"
    paper = "Lee & Choi 2021, TUCORE-GCN (EMNLP)"
    graph = "dialogue, turn and speaker nodes; dialogue, same-speaker and mention edges"
    sees_future = True

    def __init__(self, config: Any):
        super().__init__()
        size = config.hidden_size
        self.speaker_embedding = nn.Embedding(config.num_local_speakers, size)
        self.surrounding = MaskedAttention(size, HEADS, config.context_module_dropout)
        self.norm = nn.LayerNorm(size)
        self.rounds = nn.ModuleList(GraphRound(size, config.context_module_dropout) for _ in range(ROUNDS))
        self.merge = nn.Linear(3 * (ROUNDS + 1) * size, size)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        states = turn_states + self.speaker_embedding(
            speakers.clamp(0, self.speaker_embedding.num_embeddings - 1)
        )
        turns = self.norm(
            states + self.surrounding(states, states, window_mask(turn_mask, SURROUNDING, SURROUNDING))
        )
        own = same_speaker(speakers) & window_mask(turn_mask, None, None)
        all_turns = turn_mask.unsqueeze(1)
        # A speaker's node is repeated at each of their turns.
        nodes = [masked_mean(turns, all_turns), masked_mean(turns, own), turns]
        levels = [nodes]
        for step in self.rounds:
            nodes = step(*nodes, own, turn_mask)
            levels.append(nodes)
        read = [node.expand_as(turns) for level in levels for node in level]
        merged: torch.Tensor = self.merge(torch.cat(read, dim=-1))
        return merged


class GraphRound(nn.Module):
    """A BiLSTM over the turns, then one step of messages by kind of edge."""

    def __init__(self, size: int, dropout: float):
        super().__init__()
        self.lstm = nn.LSTM(size, size // 2, num_layers=2, bidirectional=True, batch_first=True)
        width = 2 * (size // 2)
        self.itself = nn.Linear(width, size)
        self.itself_else = nn.Linear(size, size)  # of nodes that the BiLSTM does not run over
        self.in_dialogue, self.of_one_speaker, self.mention = (
            nn.Linear(width, size, bias=False) for _ in range(3)
        )
        self.from_dialogue, self.from_speaker = (nn.Linear(size, size, bias=False) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        dialogue: torch.Tensor,
        speaker: torch.Tensor,
        turns: torch.Tensor,
        own: torch.Tensor,
        turn_mask: torch.Tensor,
    ) -> list[torch.Tensor]:
        """Run one round over the nodes and return them in the same order.

        Args:
            dialogue: The dialogue's node (B, 1, H).
            speaker: The node of each turn's speaker (B, T, H).
            turns: The turns' nodes (B, T, H).
            own: (B, T, T) bool, whether two turns share a speaker.
            turn_mask: (B, T), True for turns.
        """
        turns = run_both_ways(self.lstm, turns, turn_mask)
        others = own & ~torch.eye(own.shape[1], dtype=torch.bool, device=own.device)
        received = (
            self.from_dialogue(dialogue)
            + self.from_speaker(speaker)
            + self.of_one_speaker(masked_mean(turns, others))
        )
        new = [
            self.itself_else(dialogue) + self.in_dialogue(masked_mean(turns, turn_mask.unsqueeze(1))),
            self.itself_else(speaker) + self.mention(masked_mean(turns, own)),
            self.itself(turns) + received,
        ]
        return [self.dropout(torch.relu(node)) for node in new]
