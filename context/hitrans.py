"""HiTrans (Li et al., COLING 2020): a transformer with speaker verification."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .attention import AttentionBlock, masked_mean, same_speaker, window_mask
from .base import ContextModule

HEADS, SLOPE = 6, 0.1


class HiTransContext(ContextModule):
    """The high-level transformer and pairwise speaker verification (sections 3.2 to 3.4).

    As in the paper: one bidirectional layer of six heads whose feed-forward net is as
    wide as its input; the speaker is not an input, but learned by a biaffine "same
    speaker?" for every pair of turns (PUSV).

    Differences from the paper: the low level is the backbone; positions are sinusoids
    added to the turn vectors; PUSV is a mean over a turn's pairs, so that it joins each
    turn's cross entropy, and its weight is learned by its own uncertainty σ (½σ⁻²L + log
    σ) while the cross entropy keeps weight 1, where the paper learns both.
    """

    name = "hitrans"
    paper = "Li et al. 2020, HiTrans (COLING)"
    graph = "all turns; same-speaker pairs as an auxiliary task"
    sees_future = True
    uses_speakers = True  # as targets of the auxiliary task only
    has_auxiliary_loss = True

    def __init__(self, config: Any):
        super().__init__()
        size, dropout = config.hidden_size, config.context_module_dropout
        self.block = AttentionBlock(size, HEADS, size, dropout)
        width = max(1, size // 2)
        self.first, self.second = (
            nn.Sequential(nn.Linear(size, width), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)) for _ in range(2)
        )
        self.biaffine = nn.Linear(width + 1, 2 * (width + 1), bias=False)
        self.log_variance = nn.Parameter(torch.zeros(()))

    def reset(self) -> None:
        nn.init.zeros_(self.log_variance)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        states: torch.Tensor = self.block(
            turn_states + sinusoids(turn_states), window_mask(turn_mask, None, None)
        )
        return states

    def auxiliary_losses(
        self, states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        target = same_speaker(speakers).long()
        scores = self.pair_scores(states).permute(0, 3, 1, 2)
        losses = F.cross_entropy(scores, target, reduction="none")  # (B, T, T)
        pairs = window_mask(turn_mask, None, None)
        # The mean of each turn's real pairs, as `masked_mean` of (B·T, T, 1) losses.
        verification = masked_mean(
            losses.unsqueeze(-1).flatten(0, 1), pairs.flatten(0, 1).unsqueeze(1)
        ).view_as(speakers)
        return 0.5 * (verification * torch.exp(-self.log_variance) + self.log_variance)

    def pair_scores(self, states: torch.Tensor) -> torch.Tensor:
        """(B, T, H) → (B, T, T, 2): scores of "different speakers" and "same speaker"."""
        first, second = (F.pad(part(states), (0, 1), value=1.0) for part in (self.first, self.second))
        transformed = torch.unflatten(self.biaffine(first), -1, (2, -1))
        return torch.einsum("bicw,bjw->bijc", transformed, second)


def sinusoids(states: torch.Tensor) -> torch.Tensor:
    """(T, H) for (B, T, H): sinusoidal positions (Vaswani et al. 2017, section 3.5)."""
    turns, size = states.shape[1:]
    rates = torch.exp(
        torch.arange(0, size, 2, device=states.device) * (-torch.log(torch.tensor(10000.0)) / size)
    )
    angles = torch.arange(turns, device=states.device).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size].to(states.dtype)
