"""A tiny trained checkpoint that every door of prediction shares."""

from pathlib import Path
from typing import Any

import pytest
from tiny import build


@pytest.fixture(scope="session")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knocked")
    model, model.processor = build(tokenizer, "emonet-thesis", max_turn_tokens=64, backbone={"num_hidden_layers": 1})
    model.save_pretrained(folder)
    return folder
