"""Sizes that a configuration may state: those that no model has are refused before anything is made of them."""

import re
from collections.abc import Iterator
from typing import Any

from ..errors import EmoNetError

# The widest that are in use have 126 layers, 512 experts, 262,144 tokens and 10 million positions.
# What makes modules one after the other: a file of weights holds a tensor at least for each.
_MODULES = re.compile(
    r"(num_|n_|encoder_|decoder_|memory_)?(hidden_|encoder_|decoder_)?(layers?|blocks)|num_hidden_groups|inner_group_num|depth|"
    r"head_members"
)
_LIMITS = (
    (_MODULES, 10_000),
    (re.compile(r".*experts.*"), 10_000),
    (re.compile(r"num_labels"), 100_000),
    (re.compile(r".*(positions?|position_embeddings)"), 100_000_000),
    (re.compile(r".*(size|dim|speakers|concepts|window|tokens|heads)"), 1_000_000_000),
)
_NAMES = ("id2label", "label2id")  # their keys are labels, whatever those are called


def check_sizes(config: dict[str, Any]) -> None:
    """Refuse a configuration, as its file has it, with a number that no model has.

    Raises:
        EmoNetError: naming the field.
    """
    for name, value in numbers_in(config):
        limit = next(
            (limit for pattern, limit in _LIMITS if pattern.fullmatch(name.rpartition(".")[2])), None
        )
        if limit is not None and value > limit:
            raise EmoNetError(
                f"config.json: {name}={value:,} is more than any model has ({limit:,}); it is not loaded."
            )


def check_module_counts(config: dict[str, Any], tensors: int, weights: str) -> None:
    """Refuse a configuration that asks for more modules than its file of weights has tensors.

    Args:
        weights: The file's name, for the message.

    Raises:
        EmoNetError: naming the field.
    """
    for name, value in numbers_in(config):
        if _MODULES.fullmatch(name.rpartition(".")[2]) and value > tensors:
            raise EmoNetError(
                f"config.json: {name}={value:,}, and {weights} has {tensors:,} tensors; it is not loaded."
            )


def numbers_in(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a configuration with their names, those of nested ones as `text_config.hidden_size`."""
    for name, value in config.items():
        if name in _NAMES:
            continue
        if isinstance(value, dict):
            yield from numbers_in(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", value
