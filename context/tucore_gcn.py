"""TUCORE-GCN (Lee & Choi, EMNLP 2021): a graph of a dialogue, its turns and their
speakers, with recurrence over the turns.
"""

from typing import Any

import torch
from torch import nn

from .attention import MaskedAttention, masked_mean, run_both_ways, same_speaker, window_mask
from .base import ContextModule

HEADS, SURROUNDING, ROUNDS = 8, 2, 2


class TUCOREGCNContext(ContextModule):
    """Speaker embedding, attention to surrounding turns, then twice a BiLSTM over turns
    and a heterogeneous R-GCN (section 3).

    Nodes: the dialogue, each turn, each speaker. Edges: dialogue to turns; turns of one
    speaker; a speaker to their turns. What is read for a turn is its dialogue's node, its
    speaker's and its own, of all three levels, nine vectors in all. Differs: the paper
    encodes a dialogue anew for each turn, with that turn as an argument to which edges
    lead; one graph serves all turns here, and the turn's own node stands for the
    argument. The dialogue's node starts as the mean of the turns, where the paper has
    [CLS]; a speaker's as the mean of what they say. The nine vectors are projected to H,
    since the classifier is the package's softmax and not binary decisions. A turn attends
    to two turns either way. One rate of dropout for all, where the paper has one for the
    recurrence and one for the graph.
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
        everything = turn_mask.unsqueeze(1)
        # A speaker's node is kept at each of their turns, where it is the same.
        nodes = [masked_mean(turns, everything), masked_mean(turns, own), turns]
        levels = [nodes]
        for step in self.rounds:
            nodes = step(*nodes, own, turn_mask)
            levels.append(nodes)
        read = [node.expand_as(turns) for level in levels for node in level]
        return self.merge(torch.cat(read, dim=-1))


class GraphRound(nn.Module):
    """A BiLSTM over the turns, then a step of messages, with a matrix for each kind of
    edge and for the node itself.
    """

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
        """Nodes of the dialogue (B, 1, H), of each turn's speaker and of the turns (B, T,
        H) → the same, one step on.
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
