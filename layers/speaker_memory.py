"""The speaker memory: a GRU over a speaker's earlier utterances.

Source: Lee & Lee 2022, CoMPM (NAACL), section 3.3.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..configuration_emonet import EmoNetConfig


class SpeakerMemory(nn.Module):
    """Merge each turn vector with a GRU's summary of its speaker's earlier utterances.

    A turn without history is left as it is (`add`, `gated`) or merged with a zero vector
    (`concat`).
    """

    def __init__(self, config: EmoNetConfig):
        super().__init__()
        size = config.memory_hidden_size or config.hidden_size
        self.pooling = config.memory_pooling
        self.half_life = config.memory_half_life
        self.fusion = config.memory_fusion
        self.gru = nn.GRU(
            config.hidden_size,
            size,
            num_layers=config.memory_layers,
            dropout=config.memory_dropout if config.memory_layers > 1 else 0.0,
            batch_first=True,
        )
        if not config.memory_projection and size != config.hidden_size:
            raise ValueError(
                "memory_projection=False needs memory_hidden_size equal to the backbone's width."
            )
        self.query = nn.Linear(config.hidden_size, size) if self.pooling == "attention" else None
        self.projection = nn.Linear(size, config.hidden_size) if config.memory_projection else None
        self.merge = nn.Linear(2 * config.hidden_size, config.hidden_size) if self.fusion != "add" else None

    def forward(self, states: torch.Tensor, memory: torch.Tensor, memory_index: torch.Tensor) -> torch.Tensor:
        """Merge each turn vector with its speaker's memory.

        Args:
            states: Turn vectors (B, T, H).
            memory: Vectors of earlier utterances (U, H).
            memory_index: (B, T, K), each turn's rows of `memory`, oldest first, -1 for
                none.

        Returns:
            (B, T, H).
        """
        return self.merged(states, self.behaviour(states, memory, memory_index))

    def merged(self, states: torch.Tensor, behaviour: torch.Tensor) -> torch.Tensor:
        """(B, T, H) turn vectors and k_t (B, T, H) → (B, T, H)."""
        if self.merge is None:
            return states + behaviour
        merged: torch.Tensor = self.merge(torch.cat([states, behaviour], dim=-1))
        if self.fusion == "concat":
            return merged
        return states + torch.sigmoid(merged) * behaviour

    def behaviour(
        self, states: torch.Tensor, memory: torch.Tensor, memory_index: torch.Tensor
    ) -> torch.Tensor:
        """k_t (B, T, H): each turn's history, pooled and projected; zero without any."""
        batch, turns, _ = memory_index.shape
        lengths = (memory_index >= 0).sum(-1).reshape(-1)
        if torch.compiler.is_exporting():  # a graph reads all turns, whatever their history
            # A row of zeros to index where no turn of the batch has a history.
            memory = F.pad(memory, (0, 0, 0, 1))
            rows = memory_index.reshape(batch * turns, -1).clamp(min=0)
            read = self.read(memory[rows], lengths.clamp(min=1), states.reshape(batch * turns, -1))
            return (read * (lengths > 0).unsqueeze(-1).to(read.dtype)).view(batch, turns, -1)
        with_history = torch.nonzero(lengths, as_tuple=True)[0]
        size = self.gru.input_size if self.projection is not None else self.gru.hidden_size
        # Only turns with a history run through the GRU; the others keep a zero vector.
        result = memory.new_zeros(batch * turns, size)
        if memory.shape[0] == 0 or with_history.numel() == 0:
            return result.view(batch, turns, size)
        rows = memory_index.reshape(batch * turns, -1)[with_history]
        read = self.read(
            memory[rows.clamp(min=0)], lengths[with_history], states.reshape(batch * turns, -1)[with_history]
        )
        return result.index_copy(0, with_history, read.to(result.dtype)).view(batch, turns, size)

    def read(self, history: torch.Tensor, lengths: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Pool and project histories.

        Args:
            history: (N, K, H) histories.
            lengths: (N,), at least 1.
            states: (N, H), the turn vectors that read them.

        Returns:
            (N, H).
        """
        return self.summary(self._gru_states(history, lengths), lengths, states)

    def advance(
        self, utterances: torch.Tensor, hidden: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the GRU over the next utterance of N histories.

        Args:
            utterances: (N, H).
            hidden: Its state (layers, N, S) after the earlier ones; None at the start.

        Returns:
            Its outputs (N, S), and its state.
        """
        outputs, hidden = self.gru(utterances.unsqueeze(1), hidden)
        assert hidden is not None
        return outputs[:, 0], hidden

    def summary(self, outputs: torch.Tensor, lengths: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Pool and project the GRU's outputs (N, K, S) over histories; see `read`."""
        pooled = self._pooled(outputs, lengths, states)
        if self.projection is None:
            return pooled
        projected: torch.Tensor = self.projection(pooled)
        return projected

    def _gru_states(self, history: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(N, K, H) histories → (N, K, S) GRU states, undefined after a history's end."""
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():  # ONNX has no packed sequences
            states: torch.Tensor = self.gru(history)[0]
            return states
        # Most histories are shorter than the longest: packing skips the padding.
        packed = pack_padded_sequence(history, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=history.shape[1])[0]

    def _pooled(self, outputs: torch.Tensor, lengths: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """(N, K, S) GRU states, (N,) lengths, (N, H) turn vectors → (N, S)."""
        if self.pooling == "last":
            return outputs[torch.arange(outputs.shape[0], device=outputs.device), lengths - 1]
        age = lengths[:, None] - 1 - torch.arange(outputs.shape[1], device=outputs.device)
        if self.query is None:
            scores = -math.log(2) / self.half_life * age.to(outputs.dtype)
        else:
            scores = (outputs @ self.query(states)[:, :, None]).squeeze(-1) / outputs.shape[-1] ** 0.5
        weights = scores.masked_fill(age < 0, -torch.inf).softmax(-1)
        return (weights[:, None] @ outputs).squeeze(1)


def reset_gru(gru: nn.GRU | nn.GRUCell) -> None:
    """Initialise a GRU: transformers leaves weights that a file lacks undefined."""
    for name, parameter in gru.named_parameters(recurse=False):
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            nn.init.orthogonal_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
