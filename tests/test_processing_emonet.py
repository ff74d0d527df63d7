"""The processor: windows, markers, memory and errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits

from emonet.dialogue.turns import clean_text, dialogue_memory_index
from emonet.inference.predict import predict_dialogues, predict_logits
from emonet.processing_emonet import EmoNetProcessor


def long_dialogue(turns: int) -> list[dict[str, str]]:
    words = ["hello", "there", "how", "are", "you", "great", "we", "won", "that", "is", "wonderful", "news"]
    return [
        {"speaker": "AnnBobCat"[3 * (n % 3) : 3 * (n % 3) + 3], "text": " ".join(words[: 1 + n % len(words)])}
        for n in range(turns)
    ]


@pytest.mark.parametrize("preset", ["emonet-thesis", "compm", "emonet-fast", "context"])
def test_long_dialogues_keep_every_turn(tokenizer: Any, preset: str) -> None:
    model, processor = build(tokenizer, preset, max_sequence_tokens=64)
    turns = long_dialogue(150)
    windows = processor.encode(turns)
    assert sum(len(w["speaker_ids"]) - w["read_from"] for w in windows) == 150
    results = predict_dialogues(model, processor, [turns, DIALOGUE])
    assert [len(result) for result in results] == [150, len(DIALOGUE)]


def test_windows_carry_the_past_and_never_the_future(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "context", max_sequence_tokens=64)
    turns = long_dialogue(60)
    windows = processor.encode(turns)
    assert len(windows) > 3
    assert all(len(window["input_ids"]) <= 64 for window in windows)
    assert all(window["read_from"] > 0 for window in windows[1:]), "a later window starts without any past"
    whole = predict_logits(model, processor, [windows])[0]
    for end in (20, 41):
        part = predict_logits(model, processor, [processor.encode(turns[:end])])[0]
        assert np.allclose(whole[:end], part, atol=1e-5)


def test_ten_thousand_turns_are_encoded(tokenizer: Any) -> None:
    _, processor = build(tokenizer, "emonet-thesis")
    turns = long_dialogue(10_000)
    windows = processor.encode(turns, dialogue_memory_index(turns, 10))
    assert sum(len(w["speaker_ids"]) - w["read_from"] for w in windows) == 10_000


def test_overlong_turns_are_cut_with_a_warning(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    warnings: list[str] = []
    monkeypatch.setattr("emonet.processing_emonet.logger.warning", warnings.append)
    turns = [*OTHER, {"speaker": "Ann", "text": "hello " * 20_000}]
    assert [len(result) for result in predict_dialogues(model, processor, [turns])] == [3]
    assert len(warnings) == 1 and "Turn 2 has 20000 tokens and is cut" in warnings[0]


def test_memory_points_to_the_same_speakers_earlier_turns() -> None:
    index = dialogue_memory_index(DIALOGUE, window=1, start=100)
    assert index == [[], [], [100], [], [101], [102]]
    history: dict[str, list[int]] = {}
    dialogue_memory_index(OTHER, 5, 0, history)
    assert dialogue_memory_index(DIALOGUE, 5, 2, history)[0] == [1], "Ann spoke in the dialogue before"


def test_collation_holds_each_history_utterance_once(tokenizer: Any) -> None:
    _, processor = build(tokenizer, "emonet-thesis")
    batch = processor([DIALOGUE, DIALOGUE])
    pointed = batch["memory_index"][batch["memory_index"] >= 0]
    assert batch["memory_input_ids"].shape[0] == len(set(pointed.tolist())) == 6
    ann = batch["memory_index"][0, 5]
    rows = [
        batch["memory_input_ids"][row][batch["memory_attention_mask"][row].bool()].tolist()
        for row in ann
        if row >= 0
    ]
    assert rows == processor.encode_memory([DIALOGUE[0]["text"], DIALOGUE[2]["text"]])


def test_markers_follow_the_identity(tokenizer: Any) -> None:
    def text(**changes: Any) -> str:
        _, processor = build(tokenizer, "context", **changes)
        return processor.tokenizer.decode(
            processor.encode(DIALOGUE[:1])[0]["input_ids"], skip_special_tokens=False
        )

    assert "[UNK] hello" in text(speaker_identity="local")  # `<s1>` is no word of the tiny vocabulary
    assert text(speaker_identity="none").startswith("[CLS] hello")
    _, decoder = build(tokenizer, "context", "llama", speaker_identity="name")
    assert decoder._marker("Ann", 0) == "Ann:"
    _, decoder = build(tokenizer, "context", "llama", speaker_identity="local")
    assert decoder._marker("Ann", 1) == "Speaker B:"


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_the_marker_can_be_left_unread(tokenizer: Any, family: str) -> None:
    _, processor = build(tokenizer, "context", family, speaker_identity="local", pool_marker=False)
    processor._marker = lambda name, local: "leave me"  # type: ignore[method-assign]  # two words of the tiny vocabulary
    turns = [{"speaker": "Ann", "text": "me alone"}, {"speaker": "Bob", "text": ""}]
    window = processor.encode(turns)[0]
    unread = [token for token, read in zip(window["input_ids"], window["read_mask"], strict=True) if not read]
    words = tokenizer.convert_ids_to_tokens(unread)
    # An empty turn keeps one read token: the separator, or without one the marker's last.
    assert words == (["leave", "me"] * 2 if family == "bert" else ["leave", "me", "leave"])
    assert set(turn for turn, read in zip(window["turn_ids"], window["read_mask"], strict=True) if read) == {
        0,
        1,
    }


def test_speakers_that_are_added_or_replaced_are_found(tokenizer: Any) -> None:
    _, processor = build(tokenizer, "emonet-thesis")
    assert [processor.speaker_id_of(name) for name in ("ANN", "zed")] == [1, 0]
    processor.speakers["Zed"] = 2
    assert processor.speaker_id_of("zed") == 2
    processor.speakers = {"Zoe": 1, "Bob": 2, "Ann": 3}
    assert [processor.speaker_id_of(name) for name in ("ann", "zed", "zoe")] == [3, 0, 1]


def test_unknown_speakers_have_id_zero_but_own_local_ids(tokenizer: Any) -> None:
    _, processor = build(tokenizer, "emonet-thesis")
    window = processor.encode([{"speaker": name, "text": "no"} for name in ("Zed", "Ann", "Yan", "Bob")])[0]
    assert window["speaker_ids"] == [0, 1, 0, 2]
    assert window["local_speaker_ids"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "😀😀😀",
        "a\x00b",
        "tab\there",
        "line\nbreak",
        "\ud800 lone surrogate",
        "\u202eright to left",
    ],
)
@pytest.mark.parametrize("preset", ["emonet-thesis", "compm", "emonet-fast"])
def test_unusual_text_has_finite_scores(tokenizer: Any, text: str, preset: str) -> None:
    model, processor = build(tokenizer, preset)
    result = predict_dialogues(model, processor, [[{"speaker": "Ann", "text": text}, *OTHER]])[0]
    assert len(result) == 3
    assert all(np.isfinite(row["score"]) and abs(sum(row["scores"].values()) - 1) < 1e-5 for row in result)


def test_control_characters_do_not_join_words() -> None:
    assert clean_text("a\x00b\r\nc\td ") == "a b c d"


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([], "at least one turn"),
        ([{"speaker": "Ann"}], "Turn 0 has no text"),
        ([{"text": "hi"}], "Turn 0 has no speaker"),
        ([{"speaker": "Ann", "text": None}], "Turn 0 has no text"),
        ([{"speaker": "Ann", "text": "hi", "emotion": "Angry"}], "unknown emotion 'Angry'"),
        ([{"speaker": "Ann", "text": "hi", "emotion": 9}], r"neither a label.s name nor an id in 0\.\.6"),
    ],
)
def test_bad_turns_are_named(tokenizer: Any, turns: list[Any], message: str) -> None:
    _, processor = build(tokenizer, "emonet-thesis")
    with pytest.raises(ValueError, match=message):
        processor.encode(turns)


def test_chat_turns_read_like_speaker_turns(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    chat = [{"role": turn["speaker"], "content": turn["text"]} for turn in DIALOGUE]
    assert torch.equal(logits(model, processor, chat), logits(model, processor, DIALOGUE))


def test_missing_checkpoint_files_are_named(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="cannot load its tokenizer"):
        EmoNetProcessor.from_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    (tmp_path / "speakers.json").unlink()
    with pytest.raises(ValueError, match=r"no speakers\.json"):
        EmoNetProcessor.from_pretrained(tmp_path)
    (tmp_path / "speakers.json").write_text("[]")
    with pytest.raises(ValueError, match="not a speaker registry"):
        EmoNetProcessor.from_pretrained(tmp_path)


def test_corpus_memory_is_for_persons_only(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "corpus-memory")
    for name, carried in (("Ann", True), ("The Waiter", False)):
        later = [{"speaker": name, "text": "great we won"}]
        alone = predict_dialogues(model, processor, [later])[0][0]["scores"]
        after = predict_dialogues(model, processor, [[{"speaker": name, "text": "leave me alone"}], later])[
            1
        ][0]["scores"]
        same = all(abs(alone[label] - after[label]) < 1e-6 for label in alone)
        assert same is not carried


def test_temperature_changes_scores_but_no_label(tokenizer: Any) -> None:
    scores = np.random.default_rng(0).normal(size=(20, 7))
    plain = build(tokenizer, "context")[1].labels_of(scores)
    flat = build(tokenizer, "context", calibration_temperature=2.0)[1].labels_of(scores)
    assert [turn["label"] for turn in flat] == [turn["label"] for turn in plain]
    assert all(turn["score"] < other["score"] for turn, other in zip(flat, plain, strict=True))
    assert all(sum(turn["scores"].values()) == pytest.approx(1) for turn in flat)
