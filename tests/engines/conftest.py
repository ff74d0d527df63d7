"""A saved checkpoint that all engines run."""

from pathlib import Path
from typing import Any

import pytest
from tiny import build


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(folder)
    return folder
