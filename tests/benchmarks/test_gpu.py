"""The GPU job does its steps, keeps what is done, and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_study import tiny_study

from emonet.benchmarks import gpu


@pytest.fixture
def job(tmp_path: Path) -> gpu.Job:
    return gpu.Job(tmp_path / "job", "sample", "study.json", "minilm", "smollm2", torch.device("cpu"), True)


def test_what_is_done_is_kept_and_an_error_is_tried_again(
    job: gpu.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def step(name: str, answers: list[Any]) -> Any:
        def function(job: gpu.Job, seconds: float) -> dict[str, Any]:
            asked.append((name, seconds))
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        return function

    answers = {
        "training_speed": [{"peak": 1.0}],
        "thesis_table": [{"cells": 2, "finished": 1}, {"cells": 2, "finished": 2}],
        "prompted": [MemoryError("too large"), {"steps": 3}],
    }
    shares = {name: share for name, (_, share) in gpu.STEPS.items()}
    monkeypatch.setattr(
        gpu, "STEPS", {name: (step(name, answers[name]), share) for name, share in shares.items()}
    )
    first = gpu.run(job, 1)
    assert [name for name, _ in asked] == list(shares)
    assert asked[0][1] == pytest.approx(60 * shares["training_speed"], rel=0.01)
    assert asked[-1][1] == pytest.approx(60, rel=0.05), "the last step has all that is left"
    assert "too large" in first["steps"]["prompted"]["error"]
    second = gpu.run(job, 1)
    assert [name for name, _ in asked[3:]] == ["thesis_table", "prompted"]
    assert second["steps"]["prompted"]["steps"] == 3 and second["steps"]["training_speed"]["peak"] == 1.0
    assert gpu.run(job, 1)["steps"] == second["steps"] and len(asked) == 5
    file = job.folder / gpu.RESULT_FILE
    file.write_text(json.dumps({**second, "device": "another card"}))
    with pytest.raises(SystemExit, match="another card"):
        gpu.run(job, 1)


@pytest.mark.slow
def test_all_steps_on_small_models(tmp_path: Path, job: gpu.Job) -> None:
    study = tmp_path / "study.json"
    study.write_text(json.dumps(tiny_study(Path("minilm"))))
    job = gpu.Job(job.folder, "sample", str(study), "minilm", "smollm2", job.device, True)
    steps = gpu.run(job, 8)["steps"]
    assert not [figures["error"] for figures in steps.values() if "error" in figures]
    cases = steps["training_speed"]["cases"]
    assert all(case["seconds"] > 0 for case in cases.values())
    assert cases["emonet"]["tokens"] % cases["emonet"]["steps"] == 0
    assert steps["thesis_table"]["finished"] >= 1 and steps["prompted"]["steps"] >= 1
