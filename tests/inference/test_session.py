"""A session gives turn by turn what the batch pass gives for the whole dialogue."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, FAMILIES, LABELS, OTHER, build

from emonet.context import dag_erc, dialogxl
from emonet.errors import EmoNetError
from emonet.inference.predict import predict_dialogues
from emonet.inference.session import EmoNetSession, add_turns
from emonet.knowledge.concepts import ConceptTable
from emonet.training.presets import PRESETS

TURNS = [
    {"speaker": turn["speaker"], "text": turn["text"]} for turn in [*DIALOGUE, *OTHER, *reversed(DIALOGUE)]
]
LONG = TURNS * 12


def scores(rows: Any) -> torch.Tensor:
    return torch.tensor([[row["scores"][label] for label in LABELS] for row in rows])


def assert_equal_to_the_batch(model: Any, processor: Any, turns: Any) -> EmoNetSession:
    session = EmoNetSession(model, processor)
    streamed = scores([session.add(turn["speaker"], turn["text"]) for turn in turns])
    expected = scores(predict_dialogues(model, processor, [turns])[0])
    assert torch.allclose(streamed, expected, atol=1e-4), (streamed - expected).abs().max()
    return session


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", ["context", "emonet-thesis", "compm", "emonet-fast"])
def test_streaming_equals_the_batch_pass(tokenizer: Any, family: str, preset: str) -> None:
    session = assert_equal_to_the_batch(*build(tokenizer, preset, family), TURNS)
    assert session.turns == len(TURNS) and session.dropped_turns == 0


OTHERS = [name for name, preset in PRESETS.items() if not preset.sees_future]
OTHERS = [name for name in OTHERS if name not in ("context", "emonet-thesis", "compm", "emonet-fast")]


@pytest.mark.parametrize("preset", OTHERS)
def test_every_preset_streams(tokenizer: Any, preset: str) -> None:
    assert_equal_to_the_batch(*build(tokenizer, preset), TURNS)


@pytest.mark.parametrize(
    "changes", [{"context_window": 2}, {"pooling": "last"}, {"context_module": "gru"}, {"pool_marker": False}]
)
@pytest.mark.parametrize("family", ["bert", "modernbert", "llama"])
def test_other_forms_of_context(tokenizer: Any, family: str, changes: dict[str, Any]) -> None:
    assert_equal_to_the_batch(*build(tokenizer, "emonet-thesis", family, **changes), TURNS)


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "llama"])
@pytest.mark.parametrize("preset", ["emonet", "emonet-fast", "compm", "dag-erc"])
def test_long_dialogues_use_bounded_memory(tokenizer: Any, family: str, preset: str) -> None:
    model, processor = build(tokenizer, preset, family, max_sequence_tokens=100)
    turns = LONG[:60] if preset == "compm" else LONG
    session = assert_equal_to_the_batch(model, processor, turns)
    assert session.dropped_turns > 0 and sum(len(turn.piece) for turn in session.window) <= 200
    assert all(key.shape[1] <= 100 for key, _ in session.layers)
    assert all(len(rows) <= model.config.memory_window for rows in session.memory.values())


@pytest.mark.parametrize("turns", [45, pytest.param(320, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", ["per_turn", "packed"])
@pytest.mark.parametrize("module", ["dag-erc", "dialogxl", "gru", "ket"])
def test_long_dialogues_bound_the_state_of_a_module(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, mode: str, turns: int
) -> None:
    for file, system in ((dag_erc, dag_erc.DAGERCContext), (dialogxl, dialogxl.DialogXLContext)):
        monkeypatch.setattr(file, "LONGEST_PAST", 9)
        monkeypatch.setattr(system, "reach", 9)
    fields = {"context_module": module, "context_mode": mode, "max_sequence_tokens": 200}
    memory = {"speaker_memory": "dialogue", "memory_window": 7}
    model, processor = build(tokenizer, "emonet-fast", **fields, **memory)
    dialogue = [LONG[index % len(LONG)] for index in range(turns)]
    expected = scores(predict_dialogues(model, processor, [dialogue])[0])
    session, rows = EmoNetSession(model, processor), []
    for index, turn in enumerate(dialogue):
        if index == turns // 2:
            session.save(tmp_path)
            session = EmoNetSession.restore(tmp_path, model, processor)
        rows.append(session.add(**turn))
        assert {part.shape[1] for part in session.context_state.values()} <= {*range(1, 13)}
    assert torch.allclose(scores(rows), expected, atol=1e-4), (scores(rows) - expected).abs().max()
    assert len(session.read_outs) == (len(session.window) if mode == "packed" else 0)


@pytest.mark.parametrize("pooling", ["last", "decay", "attention"])
def test_memories_equal_the_batch_before_and_after_they_are_full(tokenizer: Any, pooling: str) -> None:
    fields = {"memory_window": 4, "memory_pooling": pooling, "memory_layers": 2}
    model, processor = build(tokenizer, "dialogue-memory", **fields)
    session = assert_equal_to_the_batch(model, processor, TURNS * 2)
    assert "Ann" not in session.memory_states and "Zed" in session.memory_states


@pytest.mark.parametrize("family", ["bert", "llama", "deberta-v2"])
def test_batched_sessions_equal_single_ones(tokenizer: Any, family: str) -> None:
    model, processor = build(
        tokenizer, "emonet-thesis", family, context_module="gru", max_sequence_tokens=100
    )
    starts = (0, 1, 5, 40)  # of different length, and one past its first window
    alone = [EmoNetSession(model, processor) for _ in starts]
    together = [EmoNetSession(model, processor) for _ in starts]
    for session, start in zip([*alone, *together], starts * 2, strict=True):
        for turn in LONG[:start]:
            session.add(**turn)
    for step in range(8):
        turns = [LONG[start + step] for start in starts]
        expected = [session.add(**turn) for session, turn in zip(alone, turns, strict=True)]
        found = add_turns(together, turns)
        assert [row["text"] for row in found] == [turn["text"] for turn in turns]
        assert torch.allclose(scores(found), scores(expected), atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_saved_sessions_resume(tokenizer: Any, tmp_path: Path, family: str) -> None:
    model, processor = build(tokenizer, "emonet-thesis", family, context_module="gru")
    session = EmoNetSession(model, processor, history={"Ann": ["i hate this"]})
    for turn in TURNS[:5]:
        session.add(**turn)
    session.save(tmp_path)
    restored = EmoNetSession.restore(tmp_path, model, processor)
    for turn in TURNS[5:]:
        assert torch.equal(scores([restored.add(**turn)]), scores([session.add(**turn)]))


def test_a_new_session_can_be_saved(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    EmoNetSession(model, processor).save(tmp_path)
    assert EmoNetSession.restore(tmp_path, model, processor).turns == 0


def test_sessions_of_other_models_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    session = EmoNetSession(model, processor)
    session.add("Ann", "hello")
    session.save(tmp_path / "saved")
    other, _ = build(tokenizer, "emonet-thesis")
    with torch.no_grad():
        other.classifier[1].weight.add_(0.1)
    with pytest.raises(EmoNetError, match="another model"):
        EmoNetSession.restore(tmp_path / "saved", other, processor)
    with pytest.raises(EmoNetError, match="no saved session"):
        EmoNetSession.restore(tmp_path, model, processor)


def test_history_equals_the_pipelines(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    history = {"Ann": ["i hate this", "leave me"], "Bob": ["no"]}
    session = EmoNetSession(model, processor, history=history)
    expected = predict_dialogues(model, processor, [TURNS], [history])[0]
    assert torch.allclose(scores([session.add(**turn) for turn in TURNS]), scores(expected), atol=1e-5)


def test_models_that_cannot_stream_are_refused(tokenizer: Any) -> None:
    for preset in ("context", "rgat"):
        model, processor = build(tokenizer, preset, causal=False)
        with pytest.raises(EmoNetError, match="causal=False"):
            EmoNetSession(model, processor)
    concepts = ConceptTable(["joy"], [1.0], {"great": [(0, 1.0)]})
    model, processor = build(tokenizer, "ket", num_concepts=1, concepts=concepts)
    with pytest.raises(EmoNetError, match="'ket' takes whole dialogues"):
        EmoNetSession(model, processor)


def test_wrong_turns_are_named_and_change_nothing(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    session = EmoNetSession(model, processor)
    for wrong in ([{"speaker": "Ann"}], [{"text": "hi"}], []):
        with pytest.raises(ValueError):
            add_turns([session], wrong)
    with pytest.raises(EmoNetError, match="different sessions"):
        add_turns([session, session], TURNS[:2])
    assert session.turns == 0 and add_turns([], []) == []


def test_streaming_leaves_the_model_unchanged(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    before = model.emonet.encoder.config._attn_implementation
    EmoNetSession(model, processor).add("Ann", "hello")
    assert model.emonet.encoder.config._attn_implementation == before
