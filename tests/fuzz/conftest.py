"""A tiny trained checkpoint that every door of prediction shares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import build


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """A forked process waits for ever for OpenMP threads that its parent had: these tests
    fork, so they compute in one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knocked")
    model, model.processor = build(
        tokenizer, "emonet-thesis", max_turn_tokens=64, backbone={"num_hidden_layers": 1}
    )
    model.save_pretrained(folder)
    return folder
