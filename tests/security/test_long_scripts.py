"""Hostile plain text: no line or number of lines makes the reader slow."""

import contextlib
import time

import pytest

from emonet.dialogue.reader import read_text
from emonet.errors import DataFormatError

LENGTH = 300_000


@pytest.mark.parametrize(
    "text",
    [
        "Anna: a\n" + "a" * LENGTH,
        "Anna: a\n" + "\n" * LENGTH + "Ben: b",
        "Anna: a\n" + "([" * LENGTH,
        "Anna: a\n" + "more\n" * (LENGTH // 10),
        "a title\n" * (LENGTH // 10) + "\nAnna: a",
        "Anna: this:\n" + "- Cost: low\n" * (LENGTH // 20),
        ("from a" + " " * 250 + "b to" + " " * 30 + ": x\n") * 200,
        ("12:30 " * 50 + "\n") * 300,
        ":" * LENGTH,
        " " * LENGTH + ":" + " " * LENGTH,
        "\ufeff" * LENGTH + "Anna: a",
    ],
    ids=lambda text: text[:12],
)
def test_the_time_grows_with_the_length(text: str) -> None:
    start = time.monotonic()
    with contextlib.suppress(DataFormatError):
        read_text(text)
    assert time.monotonic() - start < 60  # a quadratic reader takes hours
