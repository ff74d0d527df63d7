"""Run a context module over the turn vectors of a batch."""

import torch

from .base import ContextModule, TurnConcepts


def run_context(
    module: ContextModule,
    states: torch.Tensor,
    speaker_ids: torch.Tensor,
    local_speaker_ids: torch.Tensor | None,
    concepts: TurnConcepts | None = None,
) -> torch.Tensor:
    """Run a context module over turn vectors (B, T, H).

    Args:
        module: The module.
        states: The turn vectors.
        speaker_ids: (B, T) global ids, -1 where there is no turn.
        local_speaker_ids: (B, T) ids by order of appearance.
        concepts: For a module that `uses_concepts`.

    Raises:
        ValueError: for a module that needs `local_speaker_ids`, without them.
    """
    if local_speaker_ids is None:
        if module.uses_speakers:
            raise ValueError(f"{module.name!r} needs local_speaker_ids (the processor makes them).")
        local_speaker_ids = speaker_ids
    knowledge = {"concepts": concepts} if module.uses_concepts else {}
    contextual: torch.Tensor = module(states, local_speaker_ids, speaker_ids >= 0, **knowledge)
    return contextual
