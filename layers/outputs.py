"""Define what a forward pass returns, and what it can't compute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.utils.generic import ModelOutput

from ..configuration_emonet import CheckpointConfig
from ..errors import EmoNetError


@dataclass
class EmoNetOutput(ModelOutput):
    """Result of a forward pass.

    Attributes:
        loss: Weighted cross entropy over the labelled turns, in training with the loss of
            the context module, divided by the total weight; None without labels.
        logits: (B, T, C), one distribution per turn; meaningless where there is no turn.
        turn_states: (B, T, H), the input of the classifier.
        member_logits: (B, T, M, C), the logits of each of several classifiers
            (`head_members`), which are trained separately.
        evidence_logits: (B, T, C), what known labels add to the logits; None without any.
        auxiliary_losses: (B, T), the context module's own loss of each turn, in training
            with labels.
        hidden_states: With `output_hidden_states`, the backbone's embeddings and the
            output of each of its layers, (S, L, H) each; None from `turn_embeds`. Those
            of the speakers' memory are not among them.
        attentions: With `output_attentions`, the attention weights of each of its layers,
            (S, heads, L, L) each, if `attn_implementation="eager"`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    turn_states: torch.Tensor | None = None
    member_logits: torch.Tensor | None = None
    evidence_logits: torch.Tensor | None = None
    auxiliary_losses: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


def states_asked_for(
    config: CheckpointConfig, hidden_states: bool | Sequence[int] | None, attentions: bool | None
) -> dict[str, Any]:
    """Options of a backbone's forward pass; none where only its last states are read.

    Args:
        config: Decides where the arguments are None.
        hidden_states: The argument `output_hidden_states`: all, none, or those of a list
            of layers.
        attentions: The argument `output_attentions`.
    """
    hidden_states = config.output_hidden_states if hidden_states is None else hidden_states
    attentions = config.output_attentions if attentions is None else attentions
    if not hidden_states and not attentions:
        return {}
    return {"output_hidden_states": hidden_states, "output_attentions": attentions}


def refuse_split_rows(**indices: torch.Tensor | None) -> None:
    """Refuse indices of rows that `torch.nn.DataParallel` has given to other devices.

    It splits every tensor of a batch along its first dimension, but these indices count
    the rows of the whole batch: a replica would read those of other dialogues.

    Raises:
        EmoNetError: for an index that is given.
    """
    for name, index in indices.items():
        if index is not None:
            raise EmoNetError(
                f"torch.nn.DataParallel splits the rows that {name} refers to. Start one process for each "
                "GPU (torchrun --nproc_per_node N, or accelerate launch), or use a single one "
                "(CUDA_VISIBLE_DEVICES=0)."
            )
