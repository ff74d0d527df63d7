"""A tiny checkpoint shared by all fuzz tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import build


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: a fork would wait forever for its parent's OpenMP threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    model, model.processor = build(
        tokenizer, "emonet-thesis", max_turn_tokens=64, backbone={"num_hidden_layers": 1}
    )
    model.save_pretrained(folder)
    return folder
