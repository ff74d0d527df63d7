"""DialogXL (Shen et al., AAAI 2021): attention heads by distance and by speaker."""

from typing import Any

import torch
from torch import nn

from .attention import AttentionBlock, same_speaker, window_mask
from .base import ContextModule

LAYERS, LOCAL_REACH, DISTANCE_REACH = 2, 5, 10
# Heads of each kind, as the paper's code splits XLNet's twelve for EmoryNLP.
LOCAL, GLOBAL, SPEAKER, LISTENER = 1, 2, 4, 5


class DialogXLContext(ContextModule):
    """Dialogue-aware self-attention over turns (sections 3.2 and 3.3).

    As in the paper: causal, with twelve heads of four kinds: local (the last 5 turns),
    global (all earlier turns), speaker (this speaker's turns) and listener (the others').

    Differences from the paper: relative positions are a learned bias of each head, up to
    10 turns apart, instead of XLNet's encoding. The paper changes XLNet's own layers,
    whose memory holds the tokens of earlier turns; here two layers of that attention run
    over turn vectors of any backbone. A layer's memory of earlier turns is exactly what a
    causal mask allows, so one pass over the dialogue replaces the utterance recurrence.
    The memory is limited by the window only. A turn without earlier listeners gets zero
    from those heads.
    """

    name = "dialogxl"
    paper = "Shen et al. 2021, DialogXL (AAAI)"
    graph = "earlier turns, by head: the last 5, all, the speaker's, the listeners'"

    def __init__(self, config: Any):
        super().__init__()
        size, heads = config.hidden_size, LOCAL + GLOBAL + SPEAKER + LISTENER
        self.layers = nn.ModuleList(
            AttentionBlock(size, heads, size, config.context_module_dropout, reach=DISTANCE_REACH)
            for _ in range(LAYERS)
        )

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        allowed = head_masks(speakers, turn_mask)
        states = turn_states
        for layer in self.layers:
            states = layer(states, allowed)
        return states


def head_masks(speakers: torch.Tensor, turn_mask: torch.Tensor) -> torch.Tensor:
    """(B, T) → (B, heads, T, T) bool: the turns that each head may attend to."""
    past, own = window_mask(turn_mask, None, 0), same_speaker(speakers)
    kinds = [window_mask(turn_mask, LOCAL_REACH, 0), past, past & own, past & ~own]
    counts = (LOCAL, GLOBAL, SPEAKER, LISTENER)
    return torch.stack([kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)], dim=1)
