"""The `evaluate.Metric` loads offline and gives the package's figures."""

from pathlib import Path

import numpy as np
import pytest
from tiny import LABELS

from emonet.evaluation.metrics import emotion_metrics

evaluate = pytest.importorskip("evaluate")


@pytest.fixture(params=["import", "path"])
def metric(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "evaluate.Metric":
    from emonet.evaluation import erc_metric

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if request.param == "import":
        return erc_metric.ERCMetric(cache_dir=str(tmp_path))
    return evaluate.load(str(Path(erc_metric.__file__)), cache_dir=str(tmp_path))


def test_batches_add_up_to_the_figures_of_the_whole(metric: "evaluate.Metric") -> None:
    rng = np.random.default_rng(0)
    gold, guess = rng.integers(0, 7, 60), rng.integers(0, 7, 60)
    gold[::9] = -100
    for start in range(0, 60, 20):
        metric.add_batch(references=gold[start : start + 20], predictions=guess[start : start + 20])
    assert metric.compute(label_names=LABELS) == emotion_metrics(gold, guess, LABELS)


def test_compute_takes_everything_at_once(metric: "evaluate.Metric") -> None:
    figures = metric.compute(references=[0, 2, 3], predictions=[0, 1, 3], label_names=LABELS)
    assert figures["accuracy"] == pytest.approx(2 / 3) and figures["n"] == 3
