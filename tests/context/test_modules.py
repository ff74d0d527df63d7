"""Each context module equals a plain computation, and its flags are true."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from context_references import REFERENCES
from torch import nn

from emonet.context.base import TurnConcepts, all_context_modules, build_context_module
from emonet.context.spcl import contrastive_losses
from emonet.training.presets import PRESETS

SIZE = 24
SPEAKERS = {
    "several": [0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 1, 0, 1],
    "one turn": [0],
    "one speaker": [0] * 7,
    "thirty speakers": list(range(30)),
    "longer than any window": [index % 3 for index in range(40)],
}
CONTEXT_MODULES = all_context_modules()
EVERY = sorted(CONTEXT_MODULES)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Long recurrences with large weights amplify what single precision rounds."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(name: str, num_concepts: int = 0) -> Any:
    torch.manual_seed(0)
    config = SimpleNamespace(
        context_module=name,
        hidden_size=SIZE,
        context_module_dropout=0.1,
        num_local_speakers=4,
        num_labels=5,
        num_concepts=num_concepts,
    )
    module = build_context_module(config)
    assert module is not None
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def run(module: Any, vectors: torch.Tensor, speakers: list[int], **more: Any) -> torch.Tensor:
    ids = torch.tensor([speakers])
    return module(vectors[None], ids, ids >= 0, **more)[0]


def turns(speakers: list[int]) -> torch.Tensor:
    return torch.randn(len(speakers), SIZE, generator=torch.Generator().manual_seed(len(speakers)))


def test_registry_matches_the_references() -> None:
    assert set(REFERENCES) == set(CONTEXT_MODULES)
    for name, module in CONTEXT_MODULES.items():
        assert module.graph and (module.paper or name == "gru")
    for preset in PRESETS.values():
        module = CONTEXT_MODULES.get(preset.config.get("context_module", "none"))
        assert preset.sees_future == (module is not None and module.sees_future)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("speakers", SPEAKERS.values(), ids=SPEAKERS)
@torch.no_grad()
def test_equals_the_plain_computation(name: str, speakers: list[int]) -> None:
    module, vectors = build(name), turns(speakers)
    assert torch.allclose(
        run(module, vectors, speakers), REFERENCES[name](module, vectors, speakers), atol=1e-6
    )


@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_padding_and_batch_change_nothing(name: str) -> None:
    module, longest = build(name), max(map(len, SPEAKERS.values()))
    vectors = torch.full((len(SPEAKERS), longest, SIZE), 9.0)  # what stands in the padding must not matter
    ids = torch.full((len(SPEAKERS), longest), -1)
    for row, speakers in enumerate(SPEAKERS.values()):
        vectors[row, : len(speakers)], ids[row, : len(speakers)] = turns(speakers), torch.tensor(speakers)
    together = module(vectors, ids, ids >= 0)
    assert together.isfinite().all()
    for row, speakers in enumerate(SPEAKERS.values()):
        assert torch.allclose(
            together[row, : len(speakers)], run(module, turns(speakers), speakers), atol=1e-6
        ), list(SPEAKERS)[row]


@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_sees_future_is_true(name: str) -> None:
    module, speakers = build(name), SPEAKERS["several"]
    vectors = turns(speakers)
    whole = run(module, vectors, speakers)
    reaches_back = []
    for index in range(1, len(speakers)):
        changed = vectors.clone()
        changed[index] = torch.randn(SIZE)
        other = run(module, changed, [*speakers[:index], 3, *speakers[index + 1 :]])
        assert not torch.allclose(whole[index], other[index], atol=1e-6), (
            "the changed turn itself must change"
        )
        reaches_back.append(not torch.allclose(whole[:index], other[:index], atol=1e-7))
    assert all(reaches_back) if module.sees_future else not any(reaches_back)


@pytest.mark.parametrize(
    "name", [name for name in EVERY if CONTEXT_MODULES[name].uses_speakers and name != "hitrans"]
)
@torch.no_grad()
def test_speakers_matter_but_not_their_ids(name: str) -> None:
    module, speakers = build(name), SPEAKERS["several"]
    vectors = turns(speakers)
    whole = run(module, vectors, speakers)
    assert not torch.allclose(whole, run(module, vectors, [0] * len(speakers)), atol=1e-6)
    renamed = run(module, vectors, [{0: 2, 1: 0, 2: 1}[speaker] for speaker in speakers])
    assert torch.allclose(whole, renamed, atol=1e-6) == (name not in ("dialoguegcn", "tucore-gcn"))


@pytest.mark.parametrize("name", [name for name in EVERY if not CONTEXT_MODULES[name].sees_future])
@torch.no_grad()
def test_causal_modules_resume(name: str) -> None:
    module, speakers = build(name), SPEAKERS["several"]
    vectors, states, state = turns(speakers), [], None
    for first, end in ((0, 1), (1, 4), (4, 5), (5, len(speakers))):
        new, state = module.resume(vectors[None, first:end], torch.tensor([speakers[first:end]]), state)
        states.append(new[0])
    assert torch.allclose(torch.cat(states), run(module, vectors, speakers), atol=1e-6)
    assert module.reach is None or all(part.shape[1] <= module.reach for part in state.values())


@pytest.mark.parametrize("name", ["dag-erc", "dialogxl"])
@torch.no_grad()
def test_no_turn_reaches_back_further_than_the_longest_past(name: str, monkeypatch: Any) -> None:
    module = build(name)
    monkeypatch.setattr(sys.modules[type(module).__module__], "LONGEST_PAST", 5)
    speakers = [0, *[1] * 9, 2, 0]  # the last two have no earlier turn within reach
    vectors = turns(speakers)
    whole = run(module, vectors, speakers)
    monkeypatch.undo()
    unlimited = run(module, vectors, speakers)
    assert torch.allclose(whole[:6], unlimited[:6], atol=1e-9)
    assert not torch.allclose(whole[10], unlimited[10], atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_learns(name: str) -> None:
    module, speakers = build(name), torch.tensor([SPEAKERS["several"], [0, 1, *[-1] * 12]])
    vectors = torch.randn(*speakers.shape, SIZE)
    states = module(vectors, speakers, speakers >= 0)
    loss = (states[speakers >= 0] * torch.randn(16, SIZE)).sum()
    if module.has_auxiliary_loss:
        labels = torch.where(speakers >= 0, torch.arange(14) % 5, -100)
        loss = loss + module.auxiliary_losses(states, speakers, speakers >= 0, labels)[speakers >= 0].sum()
    loss.backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@torch.no_grad()
def test_concepts_are_weighted_by_relatedness_and_affect() -> None:
    module, speakers = build("ket", num_concepts=9), SPEAKERS["several"]
    module.set_concepts(torch.randn(9, SIZE), torch.rand(9))
    given = [
        ([], []) if index == 2 else ([index % 9, (index + 4) % 9], [1.0, 0.25])
        for index in range(len(speakers))
    ]
    ids, confidences = torch.full((1, len(speakers), 3), -1), torch.zeros(1, len(speakers), 3)
    for index, (numbers, weights) in enumerate(given):
        ids[0, index, : len(numbers)] = torch.tensor(numbers, dtype=torch.long)
        confidences[0, index, : len(numbers)] = torch.tensor(weights)
    vectors = turns(speakers)
    states = run(module, vectors, speakers, concepts=TurnConcepts(ids, confidences))
    assert torch.allclose(states, REFERENCES["ket"](module, vectors, speakers, given), atol=1e-6)
    with pytest.raises(ValueError, match="needs concept_ids"):
        run(module, vectors, speakers)


@torch.no_grad()
def test_speaker_verification_averages_a_turns_pairs() -> None:
    module = build("hitrans")
    ids = torch.tensor([SPEAKERS["several"], [0, 1, 0, *[-1] * 11]])
    states = torch.randn(*ids.shape, SIZE)
    losses = module.auxiliary_losses(states, ids, ids >= 0, torch.zeros_like(ids))
    for row, count in ((0, 14), (1, 3)):
        first, second = (
            nn.functional.pad(part(states[row, :count]), (0, 1), value=1.0)
            for part in (module.first, module.second)
        )
        for i in range(count):
            pairs = []
            for j in range(count):
                scores = torch.stack(
                    [
                        first[i] @ matrix @ second[j]
                        for matrix in module.biaffine.weight.unflatten(0, (2, -1)).mT
                    ]
                )
                pairs.append(-scores.log_softmax(0)[int(ids[row, i] == ids[row, j])])
            expected = 0.5 * (
                torch.stack(pairs).mean() * torch.exp(-module.log_variance) + module.log_variance
            )
            assert losses[row, i] == pytest.approx(float(expected), rel=1e-3)


def test_contrastive_loss_equals_the_papers() -> None:
    torch.manual_seed(0)
    vectors = nn.functional.normalize(torch.randn(6, SIZE), dim=-1)
    emotions, known = torch.tensor([0, 0, 1, 3, 1, 0]), torch.tensor([True, True, False, True])
    prototypes = nn.functional.normalize(torch.randn(4, SIZE), dim=-1)
    losses = contrastive_losses(vectors, emotions, prototypes, known)
    for i in range(6):
        near = lambda vector, i=i: torch.exp(vectors[i] @ vector / 0.08)  # noqa: E731  the paper's F
        own = [j for j in range(6) if j != i and emotions[j] == emotions[i]]
        top = sum(near(vectors[j]) for j in own) + near(prototypes[emotions[i]])
        bottom = sum(near(vectors[j]) for j in range(6) if j != i) + sum(
            near(prototypes[k]) for k in (0, 1, 3)
        )
        assert losses[i] == pytest.approx(float(-torch.log(top / (len(own) + 1) / bottom)), rel=1e-4)


def test_prototypes_average_recent_states() -> None:
    module = build("spcl")
    states = torch.randn(1, 300, SIZE)
    for step in range(3):
        labels = torch.full((1, 300), 2)
        labels[0, 0] = 4 if step == 0 else -100
        module.auxiliary_losses(states * (step + 1), torch.zeros(1, 300), labels > -1, labels)
    assert module.filled.tolist() == [0, 0, 256, 0, 1]
    unit = nn.functional.normalize(states[0], dim=-1)
    last = nn.functional.normalize(unit[1:257].mean(0), dim=-1)
    assert torch.allclose(module.prototypes()[2], last, atol=1e-7) and torch.allclose(
        module.prototypes()[4], unit[0], atol=1e-5
    )
    assert not any(name.startswith(("queue", "filled")) for name in module.state_dict())
