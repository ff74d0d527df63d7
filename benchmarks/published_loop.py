"""Reimplement the published training loop of CoMPM, as a baseline for speed.

One turn per step; the turn's whole history and its speaker's utterances are encoded every
time. Lee & Lee 2022, section 3, with the settings of the published code: two trained
encoders, first-token pooling, a 2-layer GRU, one linear layer, batch size 1, AdamW,
clipping at 10.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

CONTEXT_TOKENS = 511


class PublishedLoop:
    """Two encoders and the loop over single turns.

    Args:
        backbone: Folder of the encoder.
        num_labels: Number of classes.
        device: Where to compute.

    Attributes:
        tokens: Number of tokens that the encoders have read so far.
    """

    def __init__(self, backbone: str, num_labels: int, device: torch.device | str = "cpu"):
        self.tokenizer: Any = AutoTokenizer.from_pretrained(backbone)
        self.context: Any = AutoModel.from_pretrained(backbone)
        self.memory: Any = AutoModel.from_pretrained(backbone)
        width = self.context.config.hidden_size
        self.gru = nn.GRU(width, width, num_layers=2, dropout=0.3)
        self.head = nn.Linear(width, num_labels)
        self.device = device
        self.parts = nn.ModuleList([self.context, self.memory, self.gru, self.head]).to(device)
        self.optimizer = torch.optim.AdamW(self.parts.parameters(), lr=1e-6)
        self.width = width
        self.tokens = 0

    def train(self, dialogues: Sequence[Sequence[dict[str, Any]]], labels: Sequence[str]) -> int:
        """Train with one step per turn; returns the number of turns."""
        self.parts.train()
        turns = 0
        for history in _histories(dialogues):
            label = torch.tensor([labels.index(history[-1]["emotion"])], device=self.device)
            loss = nn.functional.cross_entropy(self.logits(history), label)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parts.parameters(), 10)
            self.optimizer.step()
            self.optimizer.zero_grad()
            turns += 1
        return turns

    @torch.inference_mode()
    def predict(self, dialogues: Sequence[Sequence[dict[str, Any]]]) -> list[int]:
        """Predict the label index of every turn, one at a time."""
        self.parts.eval()
        return [int(self.logits(history).argmax()) for history in _histories(dialogues)]

    def logits(self, history: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Logits (1, C) of the last turn in `history`."""
        order: list[str] = []
        pieces: list[str] = []
        for turn in history:
            if turn["speaker"] not in order:
                order.append(turn["speaker"])
            pieces.append(f"<s{order.index(turn['speaker']) + 1}> {turn['text']}")
        ids = torch.tensor([self._ids(" ".join(pieces))], device=self.device)
        self.tokens += ids.numel()
        vector = self.context(input_ids=ids).last_hidden_state[:, 0]
        earlier = [turn["text"] for turn in history[:-1] if turn["speaker"] == history[-1]["speaker"]]
        logits: torch.Tensor = self.head(vector + self._memory_vector(earlier))
        return logits

    def _memory_vector(self, earlier: Sequence[str]) -> torch.Tensor:
        if not earlier:
            return torch.zeros(1, self.width, device=self.device)
        rows = [self._ids(text) for text in earlier]
        self.tokens += sum(map(len, rows))
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(self.device)
        states: torch.Tensor = self.gru(self.memory(**batch).last_hidden_state[:, :1])[0]
        return states[-1]

    def _ids(self, text: str) -> list[int]:
        pieces = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [self.tokenizer.cls_token_id, *pieces[-CONTEXT_TOKENS:]]


def _histories(dialogues: Sequence[Sequence[dict[str, Any]]]) -> Iterator[Sequence[dict[str, Any]]]:
    for turns in dialogues:
        for end in range(1, len(turns) + 1):
            yield turns[:end]
