"""Deeply nested JSON: every reader of JSON refuses it with a clear error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import build
from tiny_prompted import prompted

from emonet.checkpoint.adapters import Adapter
from emonet.checkpoint.files import read_speakers
from emonet.checkpoint.integrity import check_digests
from emonet.configuration_emonet import EmoNetConfig
from emonet.data import load_conversations
from emonet.dialogue.reader import read_source
from emonet.errors import EmoNetError
from emonet.evaluation.predictions import read_predictions
from emonet.files.guard import DEEPEST, parse_json
from emonet.hub.push import check_complete
from emonet.inference.session import EmoNetSession
from emonet.knowledge.concepts import ConceptTable
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.demonstrations import DemonstrationBank
from emonet.prompted.processing import _biographies_of
from emonet.prompted.session import PromptedSession
from emonet.speakers.registry import SpeakerRegistry

# The first breaks the parser. The second passes the parser and breaks recursion over the
# result. The third is nested in objects.
BOMBS = ("[" * 100_000 + "]" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900)

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "adapters": ("emonet_adapter.json", lambda folder: Adapter.find(folder, {})),
    "configuration": ("config.json", EmoNetConfig.from_pretrained),
    "digests": ("digests.json", check_digests),
    "speakers": ("speakers.json", lambda folder: read_speakers(folder / "speakers.json")),
    "registry": ("speakers.json", SpeakerRegistry.load),
    "concepts": ("concepts.json", lambda folder: ConceptTable.read(folder / "concepts.json")),
    "biographies": ("biographies.json", lambda folder: _biographies_of(str(folder))),
    "demonstrations": ("demonstrations.json", lambda folder: DemonstrationBank.load(folder)),
    "predictions": ("predictions.jsonl", lambda folder: read_predictions(folder / "predictions.jsonl")),
    "push": ("config.json", check_complete),
    "a corpus": ("train.jsonl", lambda folder: load_conversations(str(folder))),
    "a script": ("chat.json", lambda folder: read_source(str(folder / "chat.json"))),
}


@pytest.mark.parametrize("bomb", BOMBS, ids=("parser", "walker", "objects"))
@pytest.mark.parametrize("reader", READERS)
def test_a_nesting_bomb_is_refused(tmp_path: Path, reader: str, bomb: str) -> None:
    name, read = READERS[reader]
    (tmp_path / name).write_text(bomb, "utf-8")
    if reader in ("adapters", "demonstrations"):
        (tmp_path / name).with_suffix(".safetensors").write_bytes(b"")
    with pytest.raises(ValueError):  # EmoNetError and DataFormatError are ValueErrors
        read(tmp_path)


@pytest.mark.parametrize("bomb", BOMBS, ids=("parser", "walker", "objects"))
def test_a_nesting_bomb_is_refused_as_a_session(
    tmp_path: Path, tokenizer: Any, decoder: Path, bomb: str
) -> None:
    for name in ("session.json", "prompted_session.json"):
        (tmp_path / name).write_text(bomb, "utf-8")
    with pytest.raises(EmoNetError, match="nested deeper"):
        EmoNetSession.restore(tmp_path, *build(tokenizer, "emonet-thesis"))
    with pytest.raises(EmoNetError, match="nested deeper"):
        PromptedSession.restore(tmp_path, prompted(decoder, PromptSettings(window=1)))


def test_strings_and_flat_lists_are_not_deep() -> None:
    assert parse_json('["' + "[" * 1000 + '"]') == ["[" * 1000]
    assert parse_json(str([[]] * 10_000)) == [[]] * 10_000
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)


@given(depth=st.integers(1, 200), opening=st.sampled_from(["[", '{"k":']))
def test_the_bound_is_exact(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    inner = "" if opening == "[" else "1"
    document = opening * depth + inner + closing * depth
    if depth <= DEEPEST:
        parse_json(document), parse_json(document.encode())
    else:
        with pytest.raises(EmoNetError, match="nested deeper"):
            parse_json(document)
