"""DialogXL (Shen et al., AAAI 2021): attention heads by distance and by speaker."""

from typing import Any

import torch
from torch import nn

from .attention import AttentionBlock, same_speaker, window_mask
from .base import LONGEST_PAST, ContextModule, ContextState, following, last_turns

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
    The memory is limited by the window and to 512 turns. A turn without earlier listeners
    gets zero from those heads.
    """

    name = "dialogxl"
    paper = "Shen et al. 2021, DialogXL (AAAI)"
    graph = "earlier turns, by head: the last 5, all, the speaker's, the listeners'"
    reach = LONGEST_PAST  # of a layer

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

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: ContextState | None = None
    ) -> tuple[torch.Tensor, ContextState]:
        """Continue with each layer's keys and values of the earlier turns."""
        everyone = following(state and {"speakers": state["speakers"]}, speakers=speakers)["speakers"]
        first = everyone.shape[1] - speakers.shape[1]
        allowed = head_masks(everyone, torch.ones_like(everyone, dtype=torch.bool), first)
        states, kept = turn_states, {"speakers": everyone}
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, AttentionBlock)
            names = (f"keys.{index}", f"values.{index}")
            if state is None:
                key, value = (part[:, :, :0] for part in layer.attention.keys_and_values(states))
            else:
                key, value = (state[name].transpose(1, 2) for name in names)
            states, both = layer.resume(states, allowed, (key, value))
            kept |= {name: part.transpose(1, 2) for name, part in zip(names, both, strict=True)}
        return states, last_turns(kept, self.reach)


def head_masks(speakers: torch.Tensor, turn_mask: torch.Tensor, first: int = 0) -> torch.Tensor:
    """(B, T) → (B, heads, T, T) bool: the turns that each head may attend to.

    The rows start with turn `first`.
    """
    past, own = window_mask(turn_mask, LONGEST_PAST, 0, first), same_speaker(speakers, first)
    kinds = [window_mask(turn_mask, LOCAL_REACH, 0, first), past, past & own, past & ~own]
    counts = (LOCAL, GLOBAL, SPEAKER, LISTENER)
    return torch.stack([kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)], dim=1)
