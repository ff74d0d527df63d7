"""SPCL (Song et al., EMNLP 2022): supervised contrastive learning with prototypes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .base import GRUContext

QUEUE, TEMPERATURE, SHARE = 256, 0.08, 0.5


class SPCLContext(GRUContext):
    """A GRU over turns whose states are pulled to those of their emotion (section 3.3).

    A turn's loss is -log[(Σ_p F(z, z_p) + F(z, c_y)) / (|P| + 1) / (Σ_a F(z, z_a) + Σ_k
    F(z, c_k))] with F = exp(cos / τ), over the turns p of its emotion and all other turns
    a of the batch, and prototypes c, each the mean of the last 256 states of its emotion.

    Differences from the paper: the classifier predicts, trained with half the contrastive
    loss beside its cross entropy, instead of the nearest prototype; a prototype is the
    mean of its whole queue instead of a random part; there is no curriculum; the backbone
    of the fine-tuned preset reads the turn with its name and eight earlier turns as the
    mean of its tokens, instead of a mask's state in a prompt ("feels <mask>"), and the
    GRU adds what came before. Positives and negatives are those of one forward pass:
    accumulating gradients over smaller batches keeps the divisor exact, but has fewer of
    them.
    """

    name = "spcl"
    paper = "Song et al. 2022, SPCL (EMNLP)"
    has_auxiliary_loss = True

    queue: torch.Tensor
    filled: torch.Tensor

    def __init__(self, config: Any):
        super().__init__(config)
        # Used in training only: checkpoints leave it out, resumed training refills it.
        self.register_buffer(
            "queue", torch.zeros(config.num_labels, QUEUE, config.hidden_size), persistent=False
        )
        self.register_buffer("filled", torch.zeros(config.num_labels, dtype=torch.long), persistent=False)

    def reset(self) -> None:
        nn.init.zeros_(self.queue)
        nn.init.zeros_(self.filled)

    def auxiliary_losses(
        self, states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        labelled = labels != -100
        # Half precision is too coarse for cosines over so small a temperature.
        states = states.to(torch.promote_types(states.dtype, torch.float32))
        losses = states.new_zeros(labels.shape)
        if not labelled.any():
            return losses
        vectors, emotions = F.normalize(states[labelled], dim=-1), labels[labelled]
        self.remember(vectors.detach(), emotions)
        losses[labelled] = SHARE * contrastive_losses(vectors, emotions, self.prototypes(), self.filled > 0)
        return losses

    @torch.no_grad()
    def remember(self, vectors: torch.Tensor, emotions: torch.Tensor) -> None:
        """Put states (N, H) at the front of the queues of their emotions (N)."""
        for emotion in set(emotions.tolist()):
            new = vectors[emotions == emotion][:QUEUE]
            self.queue[emotion] = torch.cat([new.to(self.queue.dtype), self.queue[emotion]])[:QUEUE]
            self.filled[emotion] = (self.filled[emotion] + len(new)).clamp(max=QUEUE)

    def prototypes(self) -> torch.Tensor:
        """(C, H) of unit length; zero for an emotion that has not been seen."""
        return F.normalize(self.queue.sum(1) / self.filled.clamp(min=1).unsqueeze(-1), dim=-1)


def contrastive_losses(
    vectors: torch.Tensor, emotions: torch.Tensor, prototypes: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Compute the contrastive loss of each state (N).

    Args:
        vectors: States (N, H) of unit length.
        emotions: Their emotions (N).
        prototypes: (C, H) of unit length.
        known: (C) bool, which prototypes exist.
    """
    others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    positive = (emotions.unsqueeze(1) == emotions.unsqueeze(0)) & others
    turns, centroids = (
        vectors @ vectors.T / TEMPERATURE,
        vectors @ prototypes.to(vectors.dtype).T / TEMPERATURE,
    )
    centroids = centroids.masked_fill(~known, -torch.inf)
    own = centroids.gather(1, emotions.unsqueeze(1))
    near = torch.cat([turns.masked_fill(~positive, -torch.inf), own], dim=1).logsumexp(1)
    everything = torch.cat([turns.masked_fill(~others, -torch.inf), centroids], dim=1).logsumexp(1)
    return everything - near + torch.log(positive.sum(1) + 1.0)
