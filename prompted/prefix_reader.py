"""Score prompts one after another and compute their common prefix once."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from .label_tree import LabelTree
from .packing import can_pack, common_length, packed, padded_rows, tree_mask


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
        shared = min(common_length(self.ids, prompt), len(prompt) - 1)
        self._truncate_cache(shared)
        self.tokens += len(prompt)
        branches = [prefix for prefix, _ in self.tree.branches]
        if any(branches) and can_pack(self.model, len(prompt)):
            logits = self._run_branches([[*prompt[shared:], *prefix] for prefix in branches])
        else:
            logits = self._run_one_by_one(prompt[shared:], branches, len(prompt))
        self._truncate_cache(len(prompt))
        self.ids = list(prompt)
        return self.tree.log_probabilities(logits)[0]

    def _run_branches(self, sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Append all branches at once, the prompt first; return the logits of each."""
        past = self.cache.get_seq_length()
        row = packed(sequences)
        batch = {name: values.to(self.model.device) for name, values in padded_rows([row], 0).items()}
        self.computed += len(row.ids)
        last = torch.tensor([path[-1] for path in row.paths], device=self.model.device)
        output = self.model(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"] + past,
            attention_mask=tree_mask(batch["subtree_ends"], self.model.dtype, past),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=last,
        )
        return list(output.logits[0].unsqueeze(1))

    def _run_one_by_one(
        self, ids: Sequence[int], branches: Sequence[Sequence[int]], length: int
    ) -> list[torch.Tensor]:
        root, logits = self._run(ids), []
        for prefix in branches:
            logits.append(self._run(prefix) if prefix else root)
            self._truncate_cache(length)
        return logits

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
