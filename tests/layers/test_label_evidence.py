"""Known labels tell about other turns, later ones by default."""

from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABELS, build, logits, taking_labels

from emonet.errors import EmoNetError
from emonet.layers.label_evidence import REACH, KnownLabels, shown_labels

TURNS = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]


@pytest.fixture(scope="module")
def parts(tokenizer: Any) -> Any:
    return taking_labels(tokenizer)


def known(turn: int, label: Any = "Mad", turns: Any = TURNS) -> Any:
    return [{**row, "known_emotion": label} if index == turn else row for index, row in enumerate(turns)]


def test_without_labels_it_changes_nothing(parts: Any) -> None:
    model, processor = parts
    plain = logits(model, processor, TURNS)
    states = model.emonet(**processor([TURNS])).turn_states
    assert torch.equal(plain, model.classifier(states))


def test_a_new_model_starts_without_a_say(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-labels")
    assert torch.equal(logits(model, processor, TURNS), logits(model, processor, known(1)))


@pytest.mark.parametrize("turn", range(len(TURNS)))
def test_a_label_moves_later_turns_only(parts: Any, turn: int) -> None:
    plain, changed = (logits(*parts, turns)[0] for turns in (TURNS, known(turn)))
    assert torch.equal(plain[: turn + 1], changed[: turn + 1])
    for later in range(turn + 1, len(TURNS)):
        assert not torch.allclose(plain[later], changed[later], atol=1e-4)


def test_later_labels_move_earlier_turns_on_request(parts: Any) -> None:
    model, processor = parts
    batch = {name: value for name, value in processor([known(3)]).items() if name != "use_later"}
    with torch.no_grad():
        causal, both = (model(**batch, use_later=later).logits[0] for later in (False, True))
    assert not torch.allclose(causal[:3], both[:3], atol=1e-4)
    assert torch.allclose(causal[3:], both[3:])


@pytest.mark.parametrize("speaker", ["Ann", "Bob"])
def test_it_matters_whose_label_it_is(parts: Any, speaker: str) -> None:
    turns = [{"speaker": name, "text": "no"} for name in ("Ann", "Bob", speaker)]
    own, other = (logits(*parts, known(index, turns=turns))[0, 2] for index in (0, 1))
    assert not torch.allclose(own, other, atol=1e-4)


def test_it_matters_which_label_and_how_sure(parts: Any) -> None:
    sure, other, unsure = (
        logits(*parts, known(0, label))[0, 2] for label in ("Mad", "Sad", {"Mad": 0.5, "Sad": 0.5})
    )
    for one, two in ((sure, other), (sure, unsure), (other, unsure)):
        assert not torch.allclose(one, two, atol=1e-4)


def test_labels_do_not_reach_other_dialogues(parts: Any) -> None:
    alone = logits(*parts, TURNS)[0]
    assert torch.allclose(alone, logits(*parts, known(0), TURNS)[1], atol=1e-6)
    together = logits(*parts, known(0), TURNS, known(2, "Sad", TURNS[:4]))
    assert torch.allclose(logits(*parts, known(0))[0], together[0], atol=1e-6)


def test_rows_for_all_turns_are_the_same_as_known_turns(parts: Any) -> None:
    model, processor = parts
    batch = processor([known(1)])
    rows = torch.zeros(1, len(TURNS), len(LABELS))
    rows[0, 1] = batch["known_emotions"][0, 0]
    dense = {name: value for name, value in batch.items() if not name.startswith("known")}
    with torch.no_grad():
        sparse, full = model(**batch).logits, model(**dense, known_emotions=rows).logits
    assert torch.allclose(sparse, full, atol=1e-5)
    with pytest.raises(EmoNetError, match="has no row for each of the turns"):
        model(**dense, known_emotions=rows[:, :2])


def test_a_far_label_is_not_read(parts: Any) -> None:
    model, _ = parts
    states, speakers = torch.randn(1, 1, model.config.hidden_size), torch.zeros(1, 1, dtype=torch.long)
    later = torch.zeros(1, 1, 1, dtype=torch.bool)
    labels = torch.eye(len(LABELS))[None, :1]
    for distance, is_read in ((REACH, True), (REACH + 1, False)):
        found = KnownLabels(labels, torch.tensor([[-distance]]), speakers)
        _, evidence = model.emonet.label_evidence(states, speakers, found, later)
        assert bool(evidence.any()) is is_read


def test_training_shows_none_of_half_of_the_dialogues() -> None:
    torch.manual_seed(0)
    labels = torch.randint(7, (2000, 12))
    labels[:, 10:] = -100
    shown, later = shown_labels(labels, 7)
    share = shown.sum(-1).float().mean(1) * 12 / 10
    assert not shown[:, 10:].any() and (shown.sum(-1) <= 1).all()
    right = (shown.argmax(-1) == labels)[shown.any(-1)].float().mean()
    assert 0.9 < right < 0.93, "a tenth is random"
    assert 0.48 < (share == 0).float().mean() < 0.62  # a small share may show none as well
    assert share[share > 0].mean() > 0.45 and 0.2 < later.float().mean() < 0.3


def test_training_shows_labels_and_evaluation_does_not(parts: Any) -> None:
    model, processor = parts
    batch = processor([DIALOGUE] * 8)
    plain = model(**batch)
    assert plain.evidence_logits is None
    torch.manual_seed(0)
    try:
        output = model.train()(**batch)
    finally:
        model.eval()
    assert output.evidence_logits is not None
    output.loss.backward()
    assert all(parameter.grad is not None for parameter in model.emonet.label_evidence.parameters())


def test_a_model_without_evidence_refuses_labels(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet")
    with pytest.raises(EmoNetError, match=r"Turn 2 has a known_emotion.*emonet-labels"):
        processor([known(2)])
    with pytest.raises(EmoNetError, match="takes no known labels"):
        model(**processor([TURNS]), known_emotions=torch.zeros(1, len(TURNS), len(LABELS)))
