"""The measurement covers every causal preset and times what it says."""

import json
from typing import Any

import pytest

from emonet.benchmarks import turn_costs
from emonet.context.base import all_context_modules
from emonet.inference.session import EmoNetSession
from emonet.runs.prompted.presets import PROMPTED_PRESETS
from emonet.training.presets import PRESETS


def test_every_causal_preset_is_measured() -> None:
    cases = turn_costs.session_cases()
    prompted = {case["preset"] for case in cases.values()} & set(PROMPTED_PRESETS)
    settings = [PROMPTED_PRESETS[name].settings for name in prompted]
    for name, preset in PROMPTED_PRESETS.items():
        assert (preset.settings in settings) == preset.settings.causal, name
    measured = [PRESETS[case["preset"]].config for case in cases.values() if case["preset"] in PRESETS]
    for name, packed in PRESETS.items():
        assert (packed.config in measured) != packed.sees_future, name
    causal = {name for name, module in all_context_modules().items() if not module.sees_future}
    assert {case.get("context_module") for case in cases.values()} >= causal


def test_a_session_is_timed_to_its_last_turn() -> None:
    model, processor = turn_costs.build("tiny", "dag-erc", max_sequence_tokens=64)
    opened: list[EmoNetSession] = []

    def open_session() -> Any:
        opened.append(EmoNetSession(model, processor))
        return opened[-1]

    figures = turn_costs.measure_session(open_session, turns=60, speakers=2)
    assert [session.turns for session in opened] == [60, *[7] * 5]
    assert opened[0].dropped_turns > 10 and figures["ratio_to_full"] > 0
    assert figures["ratio"] > 0 and figures["ms_at_turn_60"] <= figures["slowest_ms"]
    assert figures["megabytes"] == turn_costs.size_of(opened[0]) / 1e6
    assert turn_costs.size_of(opened[0]) > 4 * 64 * len(opened[0].window)  # the read-outs at least


@pytest.mark.slow
def test_each_size_of_a_case_is_measured(monkeypatch: Any, capsys: Any) -> None:
    cases = {"history": {"0": {"history": 0}, "9": {"history": 9}}, "layers": {"1": {"layers": 1}}}
    monkeypatch.setattr(turn_costs, "step_cases", lambda: cases)
    turn_costs.main(["training"])
    figures = json.loads(capsys.readouterr().out)
    assert {what: [*sizes] for what, sizes in figures.items()} == {
        "history": ["0", "9"],
        "layers": ["1"],
    }
    assert all(figures["layers"]["1"][step] > 0 for step in ("encode", "train", "evaluate"))
