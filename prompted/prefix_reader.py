"""Score prompts one after another and compute their common prefix once."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from .label_tree import LabelTree


class PrefixReader:
    """Scores labels and caches the keys and values of what consecutive prompts share.

    Args:
        language_model: The causal language model.
        tree: The labels.

    Attributes:
        tokens: Number of tokens of all prompts so far.
        computed: Number of tokens that went through the model.
    """

    def __init__(self, language_model: PreTrainedModel, tree: LabelTree):
        self.model, self.tree = language_model, tree
        self.cache = DynamicCache()
        self.ids: list[int] = []
        self.tokens = self.computed = 0

    @torch.inference_mode()
    def log_probabilities(self, prompt: Sequence[int]) -> torch.Tensor:
        """Return the log-probability (C,) of each label after a prompt's tokens."""
        # The last token is always computed: its state gives the logits.
        shared = min(_common_length(self.ids, prompt), len(prompt) - 1)
        self._truncate_cache(shared)
        self.tokens += len(prompt)
        root = self._run(prompt[shared:])
        self.ids = list(prompt)
        logits = []
        for prefix, _ in self.tree.branches:
            if not prefix:
                logits.append(root)
                continue
            logits.append(self._run(prefix))
            self._truncate_cache(len(prompt))
        return self.tree.log_probabilities(logits)[0]

    def _run(self, ids: Sequence[int]) -> torch.Tensor:
        """Append tokens to the cache; return the logits (1, V) after the last one."""
        self.computed += len(ids)
        tokens = torch.tensor([list(ids)], device=self.model.device)
        output = self.model(input_ids=tokens, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits
        return logits[:, -1]

    def _truncate_cache(self, length: int) -> None:
        excess = self.cache.get_seq_length() - length
        if length == 0:
            self.cache = DynamicCache()
        elif excess > 0:
            self.cache.crop(-excess)


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common prefix of two sequences."""
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return length
