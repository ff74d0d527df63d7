"""Fixtures of the language-model form: tiny models and an own cache folder."""

import shutil
from pathlib import Path

import pytest
from tiny_store import TinyEmbedder

import emonet.prompted.demonstrations as demonstrations
from emonet.prompted.prompts import PromptBuilder


@pytest.fixture(scope="session")
def chat_model(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny decoder with a chat template: an instruct model that writes nonsense."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tiny") / "chat"
    shutil.copytree(decoder, folder)
    own = AutoTokenizer.from_pretrained(folder)
    own.chat_template = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}"
    own.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache folder of its own."""
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "emonet-cache"))


@pytest.fixture
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find demonstrations with a sentence encoder without weights."""
    monkeypatch.setattr(demonstrations, "_encoder", lambda model: TinyEmbedder(f"{model}-1"))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the text of each prompt, in order.

    The tiny tokenizer knows too few words for the tokens of prompts to differ.
    """
    texts: list[str] = []
    tokenize = PromptBuilder.tokenize
    monkeypatch.setattr(
        PromptBuilder, "tokenize", lambda self, text: texts.append(text) or tokenize(self, text)
    )
    return texts
