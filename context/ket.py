"""KET (Zhong et al., EMNLP-IJCNLP 2019): hierarchical attention with concepts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..knowledge.concepts import ConceptTable
from .attention import AttentionBlock, masked_mean, masked_softmax, window_mask
from .base import ContextModule, TurnConcepts

HEADS, PAST, DISTANCE_REACH = 4, 6, 6


class KETContext(ContextModule):
    """Turns enriched with concepts, then hierarchical attention (sections 3.2 to 3.5).

    A concept k next to a word of the turn weighs λ·rel_k + (1 - λ)·aff_k: rel_k is the
    edge's confidence times |cos(mean of the context, concept)|, aff_k the emotional
    intensity from the concept's valence and arousal. Their softmax gives the concept
    vector, which is concatenated with the turn's and projected back. The turns attend to
    their own past, and each turn then to the results of the six before it.

    Differences from the paper: a turn has one concept vector, over the concepts of all
    its words, because the turn's tokens belong to the backbone; the paper computes one
    for every token, before its word-level attention. λ is one number instead of one for
    each word. Concept vectors are the frozen backbone's, each concept read as an
    utterance, instead of trained GloVe vectors. The mean of the context is one mean,
    without the paper's pooling of n-grams and turns. The context attends to its own past
    only, so that one causal pass serves all turns; as each of the six has read six before
    it, a turn reaches back twelve turns. Without knowledge (`num_concepts` 0) the rest
    remains.
    """

    name = "ket"
    paper = "Zhong et al. 2019, KET (EMNLP-IJCNLP)"
    graph = "the last six turns, and by them six more; concepts of a turn's words by relatedness and affect"
    reach = 2 * PAST
    uses_speakers = False
    uses_concepts = True
    concept_table = ConceptTable

    concept_vectors: torch.Tensor
    affect: torch.Tensor

    def __init__(self, config: Any):
        super().__init__()
        size, dropout = config.hidden_size, config.context_module_dropout
        self.num_concepts = config.num_concepts
        if self.num_concepts:
            self.register_buffer("concept_vectors", torch.zeros(self.num_concepts, size))
            self.register_buffer("affect", torch.zeros(self.num_concepts))
            self.balance = nn.Parameter(torch.tensor(0.5))
            self.enrich = nn.Linear(2 * size, size)
        self.context_block = AttentionBlock(size, HEADS, size, dropout, reach=DISTANCE_REACH)
        self.turn_block = AttentionBlock(size, HEADS, size, dropout, reach=DISTANCE_REACH)

    @property
    def streams(self) -> bool:
        return not self.num_concepts  # a session has turn vectors, not the words' concepts

    def reset(self) -> None:
        if self.num_concepts:
            nn.init.constant_(self.balance, 0.5)
            nn.init.zeros_(self.concept_vectors)
            nn.init.zeros_(self.affect)

    @torch.no_grad()
    def set_concepts(self, vectors: torch.Tensor, affect: torch.Tensor) -> None:
        """Set the vectors (`num_concepts`, H) and intensities of the concepts."""
        self.concept_vectors.copy_(vectors)
        self.affect.copy_(affect)

    def forward(
        self,
        turn_states: torch.Tensor,
        speakers: torch.Tensor,
        turn_mask: torch.Tensor,
        concepts: TurnConcepts | None = None,
    ) -> torch.Tensor:
        states = turn_states
        if self.num_concepts:
            if concepts is None:
                raise ValueError(
                    "This model was trained with knowledge: it needs concept_ids and concept_confidences."
                )
            knowledge = self.concept_vector(turn_states, turn_mask, concepts)
            states = turn_states + self.enrich(torch.cat([turn_states, knowledge], dim=-1))
        context = self.context_block(states, window_mask(turn_mask, PAST, 0))
        outcome: torch.Tensor = self.turn_block(states, window_mask(turn_mask, PAST, -1), keys=context)
        return outcome

    def concept_vector(
        self, turn_states: torch.Tensor, turn_mask: torch.Tensor, concepts: TurnConcepts
    ) -> torch.Tensor:
        """(B, T, H): the weighted mean of each turn's concepts, zero without any."""
        ids = concepts.ids.clamp(min=0)
        vectors = self.concept_vectors[ids]  # (B, T, C, H)
        context = masked_mean(turn_states, window_mask(turn_mask, PAST, 0)).unsqueeze(2)
        related = concepts.confidences.to(vectors.dtype) * F.cosine_similarity(context, vectors, dim=-1).abs()
        weights = masked_softmax(
            self.balance * related + (1 - self.balance) * self.affect[ids], concepts.ids >= 0
        )
        return (weights.unsqueeze(2) @ vectors).squeeze(2)
