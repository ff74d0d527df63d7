"""Score label words of any length, as probabilities among the labels."""

from collections.abc import Sequence

import torch

from ..errors import EmoNetError

Prefix = tuple[int, ...]


class LabelTree:
    """Label words as paths of tokens that part at branches.

    A label's probability is the product, over its branches, of its next token's
    probability among the tokens that lead to any label. Hence:

    - The probabilities of all labels sum to 1.
    - A token without an alternative costs nothing: long labels are not at a disadvantage.
    - Labels with a common beginning are compared where they differ.
    - Where one label begins another (`sad`, `sadness`), the end of the answer decides.

    Args:
        sequences: The tokens of each label.
        end: The token that ends an answer.

    Attributes:
        branches: For each branch, the tokens before it and the tokens that may follow.

    Raises:
        EmoNetError: If there are fewer than two labels, or two have the same tokens.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], end: int):
        paths = [(*sequence, end) for sequence in sequences]
        if len(paths) < 2:
            raise EmoNetError("Scoring needs at least two labels.")
        if len(set(paths)) < len(paths) or any(len(path) == 1 for path in paths):
            raise EmoNetError(
                "Two labels have the same tokens, or one has none: this tokenizer can't tell them apart. "
                "Rename them."
            )
        following: dict[Prefix, set[int]] = {}
        for path in paths:
            for index, token in enumerate(path):
                following.setdefault(path[:index], set()).add(token)
        prefixes = sorted(
            (prefix for prefix, tokens in following.items() if len(tokens) > 1),
            key=lambda prefix: (len(prefix), prefix),
        )
        self.branches: list[tuple[Prefix, list[int]]] = [
            (prefix, sorted(following[prefix])) for prefix in prefixes
        ]
        self._steps = [self._steps_of(path) for path in paths]

    def _steps_of(self, path: Prefix) -> list[tuple[int, int]]:
        """Return (index of the branch, index of the token in it) along a label's path."""
        return [
            (index, tokens.index(path[len(prefix)]))
            for index, (prefix, tokens) in enumerate(self.branches)
            if path[: len(prefix)] == prefix and len(path) > len(prefix)
        ]

    def log_probabilities(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the log-probability (B, C) of each label.

        Args:
            logits: For each branch, the vocabulary's logits (B, V) after its prefix.
        """
        # Normalised over the tokens that lead to a label, not over the vocabulary.
        by_branch = [
            branch_logits.float()[:, tokens].log_softmax(-1)
            for branch_logits, (_, tokens) in zip(logits, self.branches, strict=True)
        ]
        return torch.stack(
            [torch.stack([by_branch[i][:, token] for i, token in steps]).sum(0) for steps in self._steps],
            dim=-1,
        )
