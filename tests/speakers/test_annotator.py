"""Annotations: written once, found again by their provenance."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS
from tiny_store import TinyEmbedder, corpus

from emonet.errors import EmoNetError
from emonet.files.cache import cache_root
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.prompts import PromptBuilder
from emonet.runs.prompted.characteristics import CharacteristicWriter
from emonet.speakers.biographies.annotator import Annotator, TextWriter, flaw_of
from emonet.speakers.biographies.choose import MemoryStore, biographer_for, dialogue_biographer
from emonet.speakers.biographies.written import LlmBiographer
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import View

CHAT = [
    {"role": "system", "content": "a b"},
    {"role": "user", "content": "c d"},
    {"role": "assistant", "content": "e"},
]


def test_annotations_are_written_once(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Annotator(str(chat_model), tmp_path)
    first = write("oReact", CHAT, 8, ["d1#0", "d1#1"])
    assert first.text.startswith("e") and first.kind == "oReact" and first.sources == ("d1#0", "d1#1")
    assert first.model.startswith("chat-") and write.written == 1
    assert write("oReact", CHAT, 8, ["d1#0", "d1#1"]) == first
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


def test_other_weights_make_another_writer(chat_model: Path, tmp_path: Path) -> None:
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


def test_a_torn_line_is_written_again(chat_model: Path, tmp_path: Path, caplog: Any) -> None:
    write = Annotator(str(chat_model), tmp_path)
    first, second = write("a", CHAT, 8), write("b", CHAT, 8)
    lines = write.file.read_bytes().splitlines(keepends=True)
    write.file.write_bytes(lines[0] + lines[1][:20] + b"\n")
    again = Annotator(str(chat_model), tmp_path)
    assert again("a", CHAT, 8) == first and again.written == 0
    assert again("b", CHAT, 8) == second and again.written == 1


def test_models_without_a_chat_template_are_refused(decoder: Path) -> None:
    with pytest.raises(EmoNetError, match="need an instruct model"):
        Annotator(str(decoder))


@pytest.fixture
def short_context(chat_model: Path, tmp_path: Path) -> Path:
    """The instruct model with a context of 128 tokens."""
    folder = tmp_path / "short"
    shutil.copytree(chat_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 128}))
    return folder


def test_prompts_over_the_context_are_refused(short_context: Path) -> None:
    writer = TextWriter(str(short_context))
    assert writer.fits(CHAT, 8) and writer.write(CHAT, 8)
    long = [CHAT[0], {"role": "user", "content": "c " * 200}, CHAT[2]]
    assert not writer.fits(long, 8)
    with pytest.raises(EmoNetError, match=r"over the 128 that short-\w+ can read"):
        writer.write(long, 8)
    with pytest.raises(EmoNetError, match="no room for an answer behind 'e': give a larger budget"):
        writer.write(CHAT, 1)


def test_a_short_context_gets_fewer_utterances(short_context: Path, tmp_path: Path) -> None:
    train = [("d1", [("Ann", f"the comet {index} is here again", "Joyful") for index in range(60)])]
    conversations = corpus(tmp_path / "corpus", train=train)
    biographer = LlmBiographer(MemoryStore(conversations), str(short_context), budget=12, lines=60)
    biography = biographer("Ann", View("train"))
    assert biography.text and 1 <= len(biography.utterances) < 60, "spread over all utterances"
    assert "d1#0" in biography.utterances

    settings = PromptSettings(
        biography=True,
        biography_writer=str(short_context),
        biography_budget=12,
        biography_of_dialogue=True,
    )
    turns = [{"speaker": "Ann", "text": "no " * 3} for _ in range(40)]
    keys = [f"d#{index}" for index in range(40)]
    annotation = dialogue_biographer(settings, ["Ann"]).of_dialogue(turns, "Ann", keys)
    assert annotation.text and 0 < len(annotation.sources) < 40
    assert annotation.sources[-1] == "d#39", "the oldest turns are dropped"

    annotator = Annotator(str(short_context))
    builder = PromptBuilder(annotator.tokenizer, LABELS, PromptSettings(window=30), 4000)
    annotation = CharacteristicWriter(annotator, builder, ["oReact"]).annotate(
        {"dialogue_id": "d", "turns": turns}, 39, "oReact"
    )
    assert 1 < len(annotation.sources) < 31 and annotation.sources[-1] == "d#39"


def test_biographies_of_a_store_are_not_cached(chat_model: Path, tmp_path: Path) -> None:
    """A store can forget its speakers, so nothing of it may be kept elsewhere."""
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


ASKED = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": '###\nAnn: "we won the big match today"\n###\nHow does Bob react?'},
    {"role": "assistant", "content": "Bob is"},
]


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        ("Bob is", "empty"),
        ("Bob is ...", "empty"),
        ("Bob is we won the big match today", "repeats the prompt"),
        ('Bob is glad. Ann: "we won"', "breaks the form"),
        ("Bob is ### glad", "breaks the form"),
        ('Bob is {"emotion": 1}', "breaks the form"),
        ("Bob is happy that we won the big match.", None),
        ("Bob is glad.", None),
    ],
)
def test_answers_of_no_use_are_told_apart(answer: str, flaw: str | None) -> None:
    assert flaw_of(ASKED, answer) == flaw


def test_answers_of_no_use_are_counted_once_and_said(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(TextWriter, "write", lambda self, chat, tokens: chat[-1]["content"])
    for _ in range(2):  # written, then from disk
        write = Annotator(str(chat_model), tmp_path)
        for _ in range(2):
            assert write.flaw(write("oReact", ASKED, 8)) == "empty"
        assert write.writer.record == {"writer": write.name, "answers": 1, "flaws": {"empty": 1}}
    write.writer.warn_of_flaws()
    assert "1 of 1 texts by chat-" in caplog.text and "(1 empty)" in caplog.text


def test_annotations_by_another_model_are_refused(chat_model: Path, tmp_path: Path) -> None:
    write = Annotator(str(chat_model), tmp_path)
    write("oReact", CHAT, 8)
    other = json.loads(write.file.read_text()) | {"model": "other-123"}
    write.file.write_text(json.dumps(other) + "\n")
    with pytest.raises(EmoNetError, match=r":1: this annotation is by other-123, .* delete the file"):
        Annotator(str(chat_model), tmp_path)


def test_biographies_of_no_use_are_left_out(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextWriter, "write", lambda self, chat, tokens: chat[-1]["content"])
    conversations = corpus(tmp_path / "corpus")
    biographer = LlmBiographer(MemoryStore(conversations), str(chat_model), budget=12)
    assert biographer("Ann", View("train")).text == "" and biographer.writer.record["flaws"] == {"empty": 1}
    settings = PromptSettings(
        biography=True, biography_writer=str(chat_model), biography_budget=12, biography_of_dialogue=True
    )
    of_dialogue = dialogue_biographer(settings, ["Ann"])
    assert of_dialogue.of_dialogue([{"speaker": "Ann", "text": "no"}], "Ann").text == ""
    assert of_dialogue.annotator.writer.record["flaws"] == {"empty": 1}
