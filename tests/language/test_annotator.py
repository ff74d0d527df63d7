"""Annotations: written once, found again by their circumstances, with where they are from."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_store import TinyEmbedder, corpus

from emonet.cache import cache_root
from emonet.configuration_prompted import PromptSettings
from emonet.errors import EmoNetError
from emonet.language.annotator import Annotator, TextWriter
from emonet.language.biographers import biographer_for
from emonet.language.speaker_store import View
from emonet.language.store_build import build_store

CHAT = [{"role": "system", "content": "a b"}, {"role": "user", "content": "c d"}, {"role": "assistant", "content": "e"}]


def test_it_is_written_once_and_found_again_by_another_process(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Annotator(str(chat_model), tmp_path)
    first = write("oReact", CHAT, 8, ["d1#0", "d1#1"])
    assert first.text.startswith("e") and first.kind == "oReact" and first.sources == ("d1#0", "d1#1")
    assert first.model.startswith("chat-") and write.written == 1 and write("oReact", CHAT, 8, ["d1#0", "d1#1"]) == first
    (file,) = tmp_path.glob("*.jsonl")
    kept = json.loads(file.read_text())
    assert kept["text"] == first.text and kept["model"] == first.model and kept["sources"] == ["d1#0", "d1#1"]
    monkeypatch.setattr(TextWriter, "write", lambda *_: pytest.fail("written again"))
    again = Annotator(str(chat_model), tmp_path)
    assert again("oReact", CHAT, 8, ["d1#0", "d1#1"]) == first and again.written == 0
    other_words = [*CHAT[:1], {"role": "user", "content": "c f"}, CHAT[2]]
    for kind, chat, tokens in (("xIntent", CHAT, 8), ("oReact", other_words, 8), ("oReact", CHAT, 9)):
        with pytest.raises(pytest.fail.Exception, match="written again"):
            again(kind, chat, tokens)


def test_other_weights_are_another_writer(chat_model: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "chat"
    shutil.copytree(chat_model, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight.mul_(-1)
    model.save_pretrained(folder)
    first, second = Annotator(str(chat_model), tmp_path / "a"), Annotator(str(folder), tmp_path / "a")
    assert first.name != second.name and first("text", CHAT, 8).digest != second("text", CHAT, 8).digest
    assert len(list((tmp_path / "a").glob("*.jsonl"))) == 2


def test_a_torn_line_costs_one_annotation(chat_model: Path, tmp_path: Path, caplog: Any) -> None:
    write = Annotator(str(chat_model), tmp_path)
    first, second = write("a", CHAT, 8), write("b", CHAT, 8)
    lines = write.file.read_bytes().splitlines(keepends=True)
    write.file.write_bytes(lines[0] + lines[1][:20] + b"\n")
    again = Annotator(str(chat_model), tmp_path)
    assert again("a", CHAT, 8) == first and again.written == 0
    assert again("b", CHAT, 8) == second and again.written == 1


def test_a_model_without_a_chat_template_is_refused(decoder: Path) -> None:
    with pytest.raises(EmoNetError, match="need an instruct model"):
        Annotator(str(decoder))


def test_biographies_from_a_corpus_are_kept_there_and_those_of_a_store_are_not(chat_model: Path, tmp_path: Path) -> None:
    """What a store keeps can be forgotten in it, so it lies nowhere else."""
    conversations = corpus(tmp_path / "corpus")
    settings = PromptSettings(biography=True, biography_writer=str(chat_model), biography_budget=8)
    build_store(tmp_path / "store", conversations, TinyEmbedder())
    from_store = biographer_for(settings, conversations, tmp_path / "store")("Ann", View("train"))
    assert not list(cache_root().glob("annotations/*.jsonl"))
    from_corpus = biographer_for(settings, conversations)("Ann", View("train"))
    assert from_corpus.text == from_store.text
    (file,) = cache_root().glob("annotations/*.jsonl")
    kept = json.loads(file.read_text())
    assert kept["kind"] == "biography" and kept["sources"] == ["d1#0", "d1#2"]
