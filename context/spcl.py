"""SPCL (Song et al., EMNLP 2022): supervised contrastive learning against prototypes of
the emotions.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .base import GRUContext

QUEUE, TEMPERATURE, SHARE = 256, 0.08, 0.5


class SPCLContext(GRUContext):
    """A GRU over turns whose states are drawn to those of their emotion (section 3.3).

    A turn's loss is -log[(Σ_p F(z, z_p) + F(z, c_y)) / (|P| + 1) / (Σ_a F(z, z_a) + Σ_k
    F(z, c_k))] with F = exp(cos / τ), over the turns p of its emotion and all other turns
    a of the batch, and prototypes c, each the mean of the last 256 states of its
    emotion. Differs: the prediction is the classifier's, trained with half the
    contrastive loss beside its cross entropy, and not the nearest prototype; a prototype
    is the mean of its whole queue, and not of a random part; there is no curriculum; the
    fine-tuned preset's backbone reads the turn with its name and eight earlier turns, the
    mean of its tokens and not a mask's state in a prompt ("feels <mask>"), and the GRU
    adds what lies before. Positives and negatives are those of one forward pass:
    accumulating gradients over smaller batches keeps the divisor exact and has fewer of
    them.
    """

    name = "spcl"
    paper = "Song et al. 2022, SPCL (EMNLP)"
    has_auxiliary_loss = True

    queue: torch.Tensor
    filled: torch.Tensor

    def __init__(self, config: Any):
        super().__init__(config)
        # Of use in training alone: a checkpoint does not carry it, and a training that is
        # resumed fills it anew.
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
        learnt = labels != -100
        # Half precision is too coarse for cosines over so small a temperature.
        states = states.to(torch.promote_types(states.dtype, torch.float32))
        losses = states.new_zeros(labels.shape)
        if not learnt.any():
            return losses
        vectors, emotions = F.normalize(states[learnt], dim=-1), labels[learnt]
        self.remember(vectors.detach(), emotions)
        losses[learnt] = SHARE * contrastive_losses(vectors, emotions, self.prototypes(), self.filled > 0)
        return losses

    @torch.no_grad()
    def remember(self, vectors: torch.Tensor, emotions: torch.Tensor) -> None:
        """Put the states (N, H) of their emotions (N) in front of the queues."""
        for emotion in emotions.unique().tolist():
            new = vectors[emotions == emotion][:QUEUE]
            self.queue[emotion] = torch.cat([new.to(self.queue.dtype), self.queue[emotion]])[:QUEUE]
            self.filled[emotion] = (self.filled[emotion] + len(new)).clamp(max=QUEUE)

    def prototypes(self) -> torch.Tensor:
        """(C, H) of unit length; zero for an emotion that has not been seen."""
        return F.normalize(self.queue.sum(1) / self.filled.clamp(min=1).unsqueeze(-1), dim=-1)


def contrastive_losses(
    vectors: torch.Tensor, emotions: torch.Tensor, prototypes: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """(N, H) of unit length, their emotions (N), prototypes (C, H) and which of them
    there are (C) → (N).
    """
    others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    positive = (emotions.unsqueeze(1) == emotions.unsqueeze(0)) & others
    turns, centres = vectors @ vectors.T / TEMPERATURE, vectors @ prototypes.to(vectors.dtype).T / TEMPERATURE
    centres = centres.masked_fill(~known, -torch.inf)
    own = centres.gather(1, emotions.unsqueeze(1))
    near = torch.cat([turns.masked_fill(~positive, -torch.inf), own], dim=1).logsumexp(1)
    all_of_them = torch.cat([turns.masked_fill(~others, -torch.inf), centres], dim=1).logsumexp(1)
    return all_of_them - near + torch.log(positive.sum(1) + 1.0)
