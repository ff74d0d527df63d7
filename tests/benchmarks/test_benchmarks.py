"""The benchmarks compute what they claim, on the same turns."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABEL_MAPS, LABELS
from transformers import AutoConfig

from emonet.benchmarks.cases import CASES
from emonet.benchmarks.language_cases import LANGUAGE_CASES
from emonet.benchmarks.published_loop import PublishedLoop
from emonet.benchmarks.run import run_benchmarks
from emonet.benchmarks.step_weights import spread_of_steps
from emonet.benchmarks.table import RATIOS, ratios_of
from emonet.benchmarks.workload import dialogues_of, write_workload
from emonet.checkpoint.compm import convert_state_dict
from emonet.configuration_emonet import EmoNetConfig
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config

TURNS = [turn for turn in DIALOGUE if turn["text"]]


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    write_workload("sample", None, 5, tmp_path)
    return tmp_path


def test_the_workload_is_spread_over_the_lengths(tmp_path: Path) -> None:
    turn = {"speaker": "Ann", "text": "hello", "emotion": "Sad"}
    rows = [{"dialogue_id": str(size), "turns": [turn] * size} for size in range(20, 0, -1)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    facts = write_workload(str(tmp_path / "corpus.jsonl"), None, 5, tmp_path)
    assert [len(turns) for turns in dialogues_of(tmp_path)] == [1, 6, 11, 15, 20]
    assert (facts["turns"], facts["dialogues"], facts["longest"]) == (53, 5, 20)


def test_the_restated_loop_computes_what_the_compm_preset_does(backbone: Path, tokenizer: Any) -> None:
    loop = PublishedLoop(str(backbone), 7)
    loop.parts.eval()
    parts = {
        "context_model": loop.context,
        "speaker_model": loop.memory,
        "speakerGRU": loop.gru,
        "W": loop.head,
    }
    state = {
        f"{part}.{name}": weight
        for part, module in parts.items()
        for name, weight in module.state_dict().items()
    }
    config = EmoNetConfig(
        text_config=AutoConfig.from_pretrained(backbone), **LABEL_MAPS, **preset_config("compm", False, 3)
    )
    model = EmoNetForSequenceClassification(config).eval()
    model.load_state_dict(convert_state_dict(state))
    with torch.no_grad():
        ours = model(**EmoNetProcessor(tokenizer, config)([TURNS])).logits[0]
        for place in range(len(TURNS)):
            assert torch.allclose(loop.logits(TURNS[: place + 1])[0], ours[place], atol=1e-4)
    assert loop.predict([TURNS]) == ours.argmax(-1).tolist()


def test_the_restated_loop_learns(backbone: Path) -> None:
    torch.manual_seed(0)
    loop = PublishedLoop(str(backbone), 7)
    loop.optimizer.param_groups[0]["lr"] = 1e-2
    for _ in range(12):
        assert loop.train([TURNS], LABELS) == len(TURNS)
    assert [LABELS[label] for label in loop.predict([TURNS])] == [turn["emotion"] for turn in TURNS]


@pytest.mark.slow
def test_all_forms_train_on_the_same_turns_and_packing_reads_each_token_once(
    workload: Path, backbone: Path
) -> None:
    names = ("train_emonet", "train_per_turn", "train_published", "train_bare_backbone")
    figures = {name: CASES[name](workload, str(backbone)) for name in names}
    assert {row["turns"] for row in figures.values()} == {sum(map(len, dialogues_of(workload)))}
    assert figures["train_emonet"]["tokens"] == figures["train_bare_backbone"]["tokens"]
    assert figures["train_published"]["tokens"] > 2 * figures["train_emonet"]["tokens"]
    assert all(row["seconds"] > 0 for row in figures.values())


def test_evaluation_reads_the_dialogue_alone_and_prediction_from_text_its_memory_too(
    workload: Path, backbone: Path
) -> None:
    names = ("evaluate_emonet", "evaluate_emonet_float32", "predict_text", "evaluate_published")
    trained, evaluated, in_float32, from_text, published = (
        CASES[name](workload, str(backbone))["tokens"] for name in ("train_emonet", *names)
    )
    assert trained == evaluated == in_float32 < from_text < published


def test_the_memory_cache_reads_each_utterance_once(workload: Path, backbone: Path) -> None:
    figures = CASES["build_memory_cache"](workload, str(backbone))
    assert 0 < figures["tokens"] < figures["tokens_if_encoded_by_turn"]


@pytest.mark.slow
def test_streaming_and_pipeline_figures_are_whole(workload: Path, backbone: Path) -> None:
    figures = json.loads(json.dumps(CASES["stream"](workload, str(backbone))))
    assert set(figures["seconds_by_turn"]) == {"5", "50", "100", "200"} and figures["turns"] == 3 * 204
    speeds = CASES["pipeline_throughput"](workload, str(backbone))["turns_per_second_by_batch_size"]
    assert set(speeds) == {1, 4, 16} and min(speeds.values()) > 0


def test_ratios_pair_the_rounds_and_know_their_targets() -> None:
    ours, theirs = (
        {"seconds": 1.0, "turns": 10, "peak_mb": 400},
        {"seconds": 30.0, "turns": 10, "peak_mb": 1000},
    )
    rows = ratios_of({"train_emonet": [ours, {**ours, "seconds": 2.0}], "train_published": [theirs, theirs]})
    speed, memory = rows
    assert (
        speed["rounds"] == [30.0, 15.0]
        and speed["median"] == 22.5
        and speed["met"]
        and speed["target"] == ">= 20"
    )
    assert memory["median"] == 0.4 and memory["met"]
    slow = ratios_of({"train_emonet": [{**ours, "seconds": 3.0}], "train_published": [theirs]})[0]
    assert slow["median"] == pytest.approx(10) and not slow["met"]
    assert {case for ratio in RATIOS for case in ratio.cases} <= {*CASES, *LANGUAGE_CASES}


@pytest.mark.slow
def test_one_case_in_a_process_of_its_own_leaves_its_files(tmp_path: Path, backbone: Path) -> None:
    table = run_benchmarks(
        tmp_path / "out", backbone=str(backbone), dialogues=2, rounds=1, only=["evaluate_emonet"]
    )
    result = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    (row,) = result["rounds"]["evaluate_emonet"]
    assert (
        row["turns"] == result["workload"]["turns"]
        and row["peak_mb"] > row["peak_mb_after_imports"] * 0.99 > 50
    )
    assert "evaluate_emonet" in table and table == (tmp_path / "out" / "benchmark.md").read_text()


def test_an_unknown_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="Unknown case 'train_fast'; the cases are train_emonet, "):
        run_benchmarks(tmp_path, only=["train_fast"])


def test_the_spread_of_steps_is_that_of_their_weights() -> None:
    assert spread_of_steps([[0, 1]] * 4, [1.5, 0.5], 2) == pytest.approx(0)
    # Two of four dialogues: both heavy or both light in one of three draws each way.
    found = spread_of_steps([[0], [0], [1], [1]], [3.0, 1.0], 2)
    assert found == pytest.approx((2 / 6 * 0.5**2) ** 0.5, rel=0.05)
