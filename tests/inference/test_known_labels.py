"""A known label comes back as given and moves what follows, at every entry point."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABELS, OTHER, build, taking_labels

from emonet.errors import EmoNetError
from emonet.inference.known_labels import show_labels
from emonet.inference.predict import predict_dialogues, predict_logits
from emonet.inference.session import EmoNetSession, add_turns
from emonet.pipeline_emonet import EmoNetPipeline

TURNS = [
    {"speaker": turn["speaker"], "text": turn["text"]} for turn in [*DIALOGUE, *OTHER, *reversed(DIALOGUE)]
]
KNOWN = {1: "Mad", 6: {"Sad": 0.5, "Joyful": 0.5}, 20: "Scared", 33: "Mad", 50: "Peaceful"}
LONG = TURNS * 5


@pytest.fixture(scope="module")
def short(tokenizer: Any) -> Any:
    """Whose windows hold few turns of a long dialogue."""
    return taking_labels(tokenizer, max_sequence_tokens=48)


def with_labels(turns: Any, known: Any) -> Any:
    return [
        {**turn, **({"known_emotion": known[index]} if index in known else {})}
        for index, turn in enumerate(turns)
    ]


def scores(rows: Any) -> torch.Tensor:
    return torch.tensor([[row["scores"][label] for label in LABELS] for row in rows])


def predicted(parts: Any, turns: Any, **options: Any) -> torch.Tensor:
    return scores(predict_dialogues(*parts, [turns], **options)[0])


def test_given_labels_come_back_as_given(short: Any) -> None:
    turns = with_labels(TURNS, KNOWN)
    rows, others = predict_dialogues(*short, [turns, TURNS])
    assert [row["source"] for row in rows] == [
        "given" if "known_emotion" in turn else "predicted" for turn in turns
    ]
    assert rows[1]["label"] == "Mad" and rows[1]["score"] == 1.0
    assert rows[6]["scores"] == {label: 0.5 * (label in ("Sad", "Joyful")) for label in LABELS}
    assert not any("source" in row for row in others)


@pytest.mark.parametrize("mode", [{}, {"context_mode": "per_turn", "context_module": "none"}])
def test_windows_carry_earlier_labels_and_hide_later_ones(tokenizer: Any, mode: Any) -> None:
    parts = taking_labels(tokenizer, max_sequence_tokens=48, **mode)
    assert len(parts[1].encode(LONG)) > 1
    plain = predicted(parts, LONG)
    for turn in KNOWN:
        changed = predicted(parts, with_labels(LONG, {turn: KNOWN[turn]}))
        assert torch.allclose(plain[:turn], changed[:turn], atol=1e-6)
        assert ((plain - changed).abs().amax(-1)[turn + 1 :] > 1e-5).all(), "later windows read it"


def test_later_labels_reach_earlier_windows_on_request(short: Any) -> None:
    turns = with_labels(LONG, {50: "Mad"})
    both = predicted(short, turns, use_later_labels=True)
    assert ((both - predicted(short, turns)).abs().amax(-1)[:50] > 1e-5).all()


def test_gold_labels_are_never_read(short: Any) -> None:
    gold = [{**turn, "emotion": "Mad"} for turn in TURNS]
    assert predict_dialogues(*short, [gold]) == predict_dialogues(*short, [TURNS])


def test_windows_that_are_shown_labels_are_those_encoded_with_them(short: Any) -> None:
    model, processor = short
    known = processor.known_labels(with_labels(LONG, KNOWN))
    windows = [processor.encode(with_labels(LONG, KNOWN)), show_labels(processor.encode(LONG), known)]
    encoded, shown = predict_logits(model, processor, windows)
    assert torch.allclose(torch.tensor(encoded), torch.tensor(shown), atol=1e-5)


@pytest.mark.parametrize("order", ["with the turns", "after them"])
def test_a_session_equals_the_whole_dialogue(short: Any, order: str) -> None:
    session = EmoNetSession(*short)
    live = order == "with the turns"
    for index, turn in enumerate(LONG):
        row = session.add(turn["speaker"], turn["text"], KNOWN.get(index) if live else None)
        assert ("source" in row) == (live and index >= min(KNOWN))
    if not live:
        session.correct(KNOWN)
    expected = predict_dialogues(*short, [with_labels(LONG, KNOWN)])[0]
    rows = session.results()
    assert torch.allclose(scores(rows), scores(expected), atol=1e-5)
    assert [row["source"] for row in rows] == [row["source"] for row in expected]


def test_correcting_moves_what_follows_without_encoding(short: Any, monkeypatch: Any) -> None:
    session, plain = EmoNetSession(*short), EmoNetSession(*short)
    for turn in TURNS:
        session.add(turn["speaker"], turn["text"])
        plain.add(turn["speaker"], turn["text"])
    before = session.results()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the backbone ran")

    monkeypatch.setattr(session.model.emonet.encoder, "forward", refuse)
    rows = session.correct(4, "Mad")
    assert [row["turn"] for row in rows] == list(range(4, len(TURNS)))
    assert rows[0]["source"] == "given" and rows[0]["label"] == "Mad" and rows[1]["source"] == "predicted"
    assert torch.equal(scores(session.results()[:4]), scores(before[:4]))
    assert not torch.allclose(scores(rows[1:]), scores(before[5:]), atol=1e-4)
    session.correct(4, "Sad")
    assert session.results()[4]["label"] == "Sad"
    session.correct(4)  # taken back
    assert session.results() == before == plain.results()


def test_a_wrong_correction_changes_nothing(short: Any) -> None:
    session = EmoNetSession(*short)
    with pytest.raises(EmoNetError, match="it has no turns yet"):
        session.correct(0, "Mad")
    for turn in TURNS[:3]:
        session.add(turn["speaker"], turn["text"])
    for turn in (3, -1, True, "1", 10**30):
        with pytest.raises(EmoNetError, match=r"There is no turn .* its turns are 0 to 2"):
            session.correct({0: "Mad", turn: "Mad"})
    with pytest.raises(EmoNetError, match="Turn 1: known_emotion 'angry' is not a label"):
        session.correct({0: "Mad", 1: "angry"})
    with pytest.raises(EmoNetError, match="Turn 3: known_emotion 'angry' is not a label"):
        session.add("Ann", "no", "angry")
    assert session.turns == 3 and not any("source" in row for row in session.results())


def test_thousands_of_corrections(short: Any) -> None:
    session = EmoNetSession(*short)
    for turn in TURNS:
        session.add(turn["speaker"], turn["text"])
    for count in range(40):
        session.correct(count % len(TURNS), LABELS[count % 7])
    rows = session.correct({turn: LABELS[turn % 7] for turn in range(len(TURNS))})
    assert [row["label"] for row in rows] == [LABELS[turn % 7] for turn in range(len(TURNS))]
    session.correct(dict.fromkeys(range(len(TURNS))))
    assert not any("source" in row for row in session.results())


def test_a_saved_session_keeps_its_labels(short: Any, tmp_path: Path) -> None:
    session = EmoNetSession(*short, use_later_labels=True)
    for index, turn in enumerate(LONG):
        session.add(turn["speaker"], turn["text"], KNOWN.get(index))
    session.save(tmp_path)
    restored = EmoNetSession.restore(tmp_path, *short)
    assert restored.results() == session.results()
    rows = [one.correct(50) for one in (session, restored)]
    assert rows[0] == rows[1] and rows[0][0]["turn"] == 0, "later labels tell about earlier turns"


def test_sessions_in_one_pass_keep_their_own_labels(short: Any) -> None:
    sessions = [EmoNetSession(*short) for _ in range(2)]
    for index, turn in enumerate(TURNS):
        add_turns(sessions, [{**turn, "known_emotion": KNOWN.get(index)}, turn])
    assert "source" not in sessions[1].results()[0]
    expected = predict_dialogues(*short, [with_labels(TURNS, KNOWN), TURNS])
    for session, rows in zip(sessions, expected, strict=True):
        assert torch.allclose(scores(session.results()), scores(rows), atol=1e-5)


def test_a_session_of_another_model_says_what_takes_labels(tokenizer: Any) -> None:
    session = EmoNetSession(*build(tokenizer, "emonet"))
    session.add("Ann", "no")
    for call in (lambda: session.correct(0, "Mad"), lambda: session.add("Ann", "no", "Mad"), session.results):
        with pytest.raises(EmoNetError, match="emonet-labels"):
            call()
    assert session.turns == 1


def test_labels_of_a_history_are_told_to_be_left_out(tokenizer: Any, caplog: Any) -> None:
    pipe = EmoNetPipeline(*taking_labels(tokenizer, speaker_memory="corpus"))
    known, plain = (pipe(TURNS[:2], history=[turns]) for turns in (with_labels(TURNS, KNOWN), TURNS))
    assert known == plain and "earlier dialogues is not read" in caplog.text


def test_the_pipeline_takes_labels(short: Any) -> None:
    pipe = EmoNetPipeline(*short)
    rows = pipe(with_labels(TURNS, KNOWN))
    assert rows[1]["source"] == "given" and "known_emotion" not in rows[1]
    assert torch.allclose(scores(rows), predicted(short, with_labels(TURNS, KNOWN)), atol=1e-6)
    assert not any("source" in row for row in pipe(TURNS))
    later = pipe(with_labels(TURNS, KNOWN), use_later_labels=True)
    assert not torch.allclose(scores(later), scores(rows), atol=1e-4)
    with pytest.raises(EmoNetError, match="Dialogue 1: Turn 0: known_emotion 'Angry'"):
        pipe([TURNS, [{**TURNS[0], "known_emotion": "Angry"}]])
