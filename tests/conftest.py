"""Fixtures of a tokenizer and tiny backbones: no test needs a network or weights."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from tiny import make_tokenizer, text_config
from transformers import PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("EMONET_DTYPE", "float32")  # the same figures on every machine
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if workers > 1:  # they share the cores, and so do the processes they start
    threads = max(1, torch.get_num_threads() // workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torch.set_num_threads(threads)

# The same few cases every time; `--hypothesis-profile=fuzz` tries 10,000 new ones at
# every input (results/fuzzing.md).
_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("few", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("some", max_examples=500, print_blob=True, **_COMMON)
settings.register_profile("fuzz", max_examples=10_000, print_blob=True, **_COMMON)
settings.load_profile("few")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Undo what a test does to the root logger.

    `emonet serve` writes its log to the standard error of the process, which is a file
    of this one test here: a later test would log to a closed file.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A folder with a tiny BERT and its tokenizer, as `from_backbone` takes it."""
    from transformers import BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-bert")
    BertModel(text_config("bert")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A folder with a tiny LLaMA that has a language-model head, and its tokenizer."""
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-llama")
    LlamaForCausalLM(text_config("llama")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the real corpora; tests that need it are skipped without it."""
    folder = Path(os.environ.get("EMONET_DATA", Path(__file__).parents[1] / ".." / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("the real corpora are not here: set EMONET_DATA to their folder")
    return folder
