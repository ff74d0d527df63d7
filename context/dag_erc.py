"""DAG-ERC (Shen et al., ACL 2021): an acyclic graph back to each speaker's turn."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .attention import distances, same_speaker, window_mask
from .base import LONGEST_PAST, ContextModule, ContextState, following, last_turns

LAYERS = 2


class DAGERCContext(ContextModule):
    """Directed acyclic graph network over turns (sections 3.2 and 3.3).

    A turn's predecessors are the turns since its speaker's last one, including it (all
    earlier turns where there is none; ω = 1), at most 512. A layer processes turns in
    order, so that a turn reads its predecessors' states of the same layer: their
    attention-weighted sum by relation (same speaker or not), then two gated units, one
    for the node and one for its messages. The states of all layers are concatenated and
    projected to H.

    Differences from the paper: the half of the attention score that depends on the turn
    itself is left out, because it is the same for all predecessors and cancels in the
    softmax; the width is the backbone's instead of 300.

    The recurrence needs a loop over turns; it is batched over dialogues.
    """

    name = "dag-erc"
    paper = "Shen et al. 2021, DAG-ERC (ACL)"
    graph = "from each turn back to its speaker's last turn, edges by same speaker or not"
    reach = LONGEST_PAST  # of a layer

    def __init__(self, config: Any):
        super().__init__()
        size = config.hidden_size
        self.project = nn.Linear(size, size)
        self.layers = nn.ModuleList(DAGLayer(size) for _ in range(LAYERS))
        self.merge = nn.Linear((LAYERS + 2) * size, size)
        self.dropout = nn.Dropout(config.context_module_dropout)

    def forward(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, turn_mask: torch.Tensor
    ) -> torch.Tensor:
        return self._after([None] * LAYERS, turn_states, speakers, turn_mask)[0]

    def resume(
        self, turn_states: torch.Tensor, speakers: torch.Tensor, state: ContextState | None = None
    ) -> tuple[torch.Tensor, ContextState]:
        """Continue with each layer's states of the earlier turns."""
        everyone = following(state and {"speakers": state["speakers"]}, speakers=speakers)["speakers"]
        names = [f"states.{index}" for index in range(LAYERS)]
        past = [None if state is None else state[name] for name in names]
        turn_mask = torch.ones_like(everyone, dtype=torch.bool)
        merged, levels = self._after(past, turn_states, everyone, turn_mask)
        kept = following(state, speakers=speakers, **dict(zip(names, levels, strict=True)))
        return merged, last_turns(kept, self.reach)

    def _after(
        self,
        past: Sequence[torch.Tensor | None],
        turn_states: torch.Tensor,
        speakers: torch.Tensor,
        turn_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Run over turns (B, T, H) that follow N - T others.

        Args:
            past: Each layer's states of the others (B, N - T, H); None without others.
            turn_states: The turn vectors.
            speakers: (B, N), of all turns.
            turn_mask: (B, N), True for turns.

        Returns:
            The result (B, T, H), and the states of each layer.
        """
        first = speakers.shape[1] - turn_states.shape[1]
        allowed, same = predecessors(speakers, turn_mask, first), same_speaker(speakers, first)
        levels = [torch.relu(self.project(self.dropout(turn_states)))]
        for layer, before in zip(self.layers, past, strict=True):
            levels.append(layer(levels[-1], allowed, same, before))
        merged: torch.Tensor = self.merge(torch.cat([*levels, turn_states], dim=-1))
        return merged, levels[1:]


class DAGLayer(nn.Module):
    """One layer, computed turn by turn."""

    def __init__(self, size: int):
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)
        self.from_own, self.from_other = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.node, self.received = nn.GRUCell(size, size), nn.GRUCell(size, size)

    def forward(
        self,
        states: torch.Tensor,
        allowed: torch.Tensor,
        same: torch.Tensor,
        past: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run one layer over turn vectors (B, T, H) → (B, T, H), after N - T turns.

        Args:
            states: The turn vectors of the layer below.
            allowed: (B, T, N), the predecessors of each turn.
            same: (B, T, N), whether two turns share a speaker.
            past: This layer's states (B, N - T, H) of the turns before; None without.
        """
        # Only the turns from the earliest predecessor in the batch on are read.
        earliest = allowed.any(0).int().argmax(-1).tolist()
        unread = 0 if past is None else min(*earliest, past.shape[1])
        done = [] if past is None else list(past[:, unread:].unbind(1))
        scores = [] if past is None else list(self.score(past[:, unread:]).unbind(1))
        before = len(done)
        for index, begin in enumerate(earliest):
            below, end = states[:, index], before + index
            begin -= unread
            message = torch.zeros_like(below)
            if end:
                # Padding has no predecessors: its message is a mean that is never read.
                score = torch.cat(scores[begin:end], dim=1)
                read_turns = slice(begin + unread, end + unread)
                hidden = ~allowed[:, index, read_turns]
                weights = score.masked_fill(hidden, torch.finfo(score.dtype).min).softmax(-1)
                own = same[:, index, read_turns]
                read = torch.stack([weights * own, weights * ~own], dim=1) @ torch.stack(
                    done[begin:end], dim=1
                )
                message = self.from_own(read[:, 0]) + self.from_other(read[:, 1])
            state = self.node(below, message) + self.received(message, below)
            done.append(state)
            scores.append(self.score(state))
        return torch.stack(done[before:], dim=1)


def predecessors(speakers: torch.Tensor, turn_mask: torch.Tensor, first: int = 0) -> torch.Tensor:
    """(B, T) → (B, T, T) bool: whether turn j (column) is a predecessor of turn i (row).

    The predecessors are the earlier turns from the speaker's last one on. The rows start
    with turn `first`.
    """
    earlier = distances(speakers.shape[1], speakers.device, first) < 0
    indices = torch.arange(speakers.shape[1], device=speakers.device)
    last_own = torch.where(same_speaker(speakers, first) & earlier, indices, -1).amax(-1, keepdim=True)
    return window_mask(turn_mask, LONGEST_PAST, -1, first) & (indices >= last_own)
