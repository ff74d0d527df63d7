"""A tiny causal language model in a folder, as the tests of the language-model form need it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import text_config


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A folder with a tiny LLaMA that has a language-model head, and its tokenizer."""
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-llama")
    LlamaForCausalLM(text_config("llama")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
