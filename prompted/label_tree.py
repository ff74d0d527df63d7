"""Scores of label words, however many tokens they have: the probability of each among the
labels alone.
"""

from collections.abc import Sequence

import torch

from ..errors import EmoNetError

Prefix = tuple[int, ...]


class LabelTree:
    """Label words as paths of tokens, and what of the vocabulary decides between them.

    A label's probability is the product, over the points where labels part, of its next
    token's probability among the tokens that lead on to some label. So the probabilities
    of all labels sum to 1, a token that has no alternative costs nothing (a long label is
    not behind a short one), labels that share a beginning part where they differ, and one
    that is the beginning of another (`sad`, `sadness`) is told from it by the end of the
    answer.

    Args:
        sequences: The tokens of each label. end: The token that ends an answer.

    Attributes:
        branches: Where labels part: the tokens before, and the tokens that may follow.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], end: int):
        paths = [(*sequence, end) for sequence in sequences]
        if len(paths) < 2:
            raise EmoNetError("Scoring needs two labels at least.")
        if len(set(paths)) < len(paths) or any(len(path) == 1 for path in paths):
            raise EmoNetError(
                "Two labels have the same tokens, or one has none: this tokenizer can't tell them apart; rename them."
            )
        following: dict[Prefix, set[int]] = {}
        for path in paths:
            for place, token in enumerate(path):
                following.setdefault(path[:place], set()).add(token)
        parting = sorted(
            (prefix for prefix, tokens in following.items() if len(tokens) > 1),
            key=lambda prefix: (len(prefix), prefix),
        )
        self.branches: list[tuple[Prefix, list[int]]] = [
            (prefix, sorted(following[prefix])) for prefix in parting
        ]
        self._steps = [
            [(number, tokens.index(path[len(prefix)])) for number, (prefix, tokens) in enumerate(self.branches)
             if path[: len(prefix)] == prefix and len(path) > len(prefix)]
            for path in paths
        ]  # fmt: skip

    def log_probabilities(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """For each branch the vocabulary's logits (B, V) behind its prefix → (B, C)."""
        among = [
            each.float()[:, tokens].log_softmax(-1)
            for each, (_, tokens) in zip(logits, self.branches, strict=True)
        ]
        return torch.stack(
            [sum_of([among[branch][:, child] for branch, child in steps]) for steps in self._steps], dim=-1
        )


def sum_of(parts: list[torch.Tensor]) -> torch.Tensor:
    """The sum of tensors (B) of one shape."""
    return torch.stack(parts).sum(0)
