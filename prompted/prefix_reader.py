"""Prompts read one after the other, each from where it differs from the one before."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from .label_tree import LabelTree


class PrefixReader:
    """Label scores of prompts, with the keys and values of what a prompt shares with the
    one before, and of the prompt over its labels, computed once.

    Attributes:
        tokens: How many tokens the prompts had. computed: How many went through the
            model.
    """

    def __init__(self, language_model: Any, tree: LabelTree):
        self.model, self.tree = language_model, tree
        self.cache = DynamicCache()
        self.ids: list[int] = []
        self.tokens = self.computed = 0

    @torch.inference_mode()
    def log_probabilities(self, prompt: Sequence[int]) -> torch.Tensor:
        """A prompt's tokens → (C,) the log-probability of each label."""
        # The last token is computed in any case: its state is what is read.
        shared = min(_common(self.ids, prompt), len(prompt) - 1)
        self._back_to(shared)
        self.tokens += len(prompt)
        root = self._run(prompt[shared:])
        self.ids = list(prompt)
        logits = []
        for prefix, _ in self.tree.branches:
            if not prefix:
                logits.append(root)
                continue
            logits.append(self._run(prefix))
            self._back_to(len(prompt))
        return self.tree.log_probabilities(logits)[0]

    def _run(self, ids: Sequence[int]) -> torch.Tensor:
        """Tokens behind those in the cache → the vocabulary's logits (1, V) behind the
        last.
        """
        self.computed += len(ids)
        tokens = torch.tensor([list(ids)], device=self.model.device)
        output = self.model(input_ids=tokens, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1]

    def _back_to(self, length: int) -> None:
        excess = self.cache.get_seq_length() - length
        if length == 0:
            self.cache = DynamicCache()
        elif excess > 0:
            self.cache.crop(-excess)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    count = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        count += 1
    return count
