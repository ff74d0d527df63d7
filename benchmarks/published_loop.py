"""The published CoMPM training loop, restated: one turn a step, its whole past and its
speaker's utterances encoded anew.

Lee & Lee 2022, section 3, and the settings of the published code: two trained encoders,
first-token read-outs, a 2-layer GRU, one linear layer, batch size 1, AdamW, clipping at
10.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

CONTEXT_TOKENS = 511


class PublishedLoop:
    """Two encoders of the folder `backbone`, and the loop over single turns.

    Attributes:
        tokens: How many tokens the encoders have read so far.
    """

    def __init__(self, backbone: str, num_labels: int):
        self.tokenizer: Any = AutoTokenizer.from_pretrained(backbone)
        self.context: Any = AutoModel.from_pretrained(backbone)
        self.memory: Any = AutoModel.from_pretrained(backbone)
        width = self.context.config.hidden_size
        self.gru = nn.GRU(width, width, num_layers=2, dropout=0.3)
        self.head = nn.Linear(width, num_labels)
        self.parts = nn.ModuleList([self.context, self.memory, self.gru, self.head])
        self.optimizer = torch.optim.AdamW(self.parts.parameters(), lr=1e-6)
        self.width = width
        self.tokens = 0

    def train(self, dialogues: Sequence[Sequence[dict[str, Any]]], labels: Sequence[str]) -> int:
        """One step a turn; returns the number of turns."""
        self.parts.train()
        turns = 0
        for past in _pasts(dialogues):
            loss = nn.functional.cross_entropy(
                self.logits(past), torch.tensor([labels.index(past[-1]["emotion"])])
            )
            loss.backward()
            nn.utils.clip_grad_norm_(self.parts.parameters(), 10)
            self.optimizer.step()
            self.optimizer.zero_grad()
            turns += 1
        return turns

    @torch.inference_mode()
    def predict(self, dialogues: Sequence[Sequence[dict[str, Any]]]) -> list[int]:
        """The label of every turn, one at a time."""
        self.parts.eval()
        return [int(self.logits(past).argmax()) for past in _pasts(dialogues)]

    def logits(self, past: Sequence[dict[str, Any]]) -> torch.Tensor:
        """(1, C) for the last turn of a dialogue's beginning."""
        order: list[str] = []
        pieces: list[str] = []
        for turn in past:
            if turn["speaker"] not in order:
                order.append(turn["speaker"])
            pieces.append(f"<s{order.index(turn['speaker']) + 1}> {turn['text']}")
        ids = torch.tensor([self._ids(" ".join(pieces))])
        self.tokens += ids.numel()
        vector = self.context(input_ids=ids).last_hidden_state[:, 0]
        earlier = [turn["text"] for turn in past[:-1] if turn["speaker"] == past[-1]["speaker"]]
        return self.head(vector + self._behaviour(earlier))

    def _behaviour(self, earlier: Sequence[str]) -> torch.Tensor:
        if not earlier:
            return torch.zeros(1, self.width)
        rows = [self._ids(text) for text in earlier]
        self.tokens += sum(map(len, rows))
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        states, _ = self.gru(self.memory(**batch).last_hidden_state[:, :1])
        return states[-1]

    def _ids(self, text: str) -> list[int]:
        pieces = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [self.tokenizer.cls_token_id, *pieces[-CONTEXT_TOKENS:]]


def _pasts(dialogues: Sequence[Sequence[dict[str, Any]]]) -> Iterator[Sequence[dict[str, Any]]]:
    for turns in dialogues:
        for place in range(len(turns)):
            yield turns[: place + 1]
