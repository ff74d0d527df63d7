"""Read labels: what is one, and which spellings are the same."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...files.text import clean

# What programs and people write where there is no label, with case folded.
NO_LABEL = frozenset(
    ("", "nan", "none", "null", "nil", "n/a", "na", "#n/a", "<na>", "nat", "-", "--", "\u2013", "\u2014", "?")
)


def is_no_label(value: Any) -> bool:
    """Whether a value stands for a missing label: None, NaN, `-`, `n/a`, blanks, …."""
    if isinstance(value, str):
        return clean(value).strip().casefold() in NO_LABEL
    return value is None or bool(isinstance(value, float) and value != value)


def label_of(value: str | float | None) -> str | None:
    """The label in a cell in Unicode's composed form (NFC), or None without one."""
    return None if is_no_label(value) else unicodedata.normalize("NFC", clean(str(value)).strip())


def same_labels(counts: Mapping[str, int]) -> dict[str, str]:
    """Map every spelling of a label to its most frequent one; case does not count.

    Args:
        counts: The number of turns by spelling.
    """
    best: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        best.setdefault(label.casefold(), label)
    return {label: best[label.casefold()] for label in counts}


def spelled_as(labels: Iterable[str], found: str) -> str:
    """The one label that `found` is apart from case, else `found` itself."""
    labels = list(labels)
    if found in labels:
        return found
    same = [label for label in labels if label.casefold() == found.casefold()]
    return same[0] if len(same) == 1 else found


def spellings_note(spellings: Mapping[str, str], counts: "Counter[str]") -> str:
    """Say which spellings were taken for the same label; empty without any."""
    changed = [
        f"{found!r} ({counts[found]} turns) as {label!r}"
        for found, label in spellings.items()
        if found != label
    ]
    return f"labels that differ in case only are one: {', '.join(changed)}" if changed else ""
