"""The comparison of dtypes counts what changes, and leaves the model as it was."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits

from emonet.benchmarks import precision
from emonet.engines.precision import computing_in


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_each_way_is_compared_with_float32(
    tokenizer: Any, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = build(tokenizer, "emonet-fast", family, speaker_memory="none")
    windows = [processor.encode(turns) for turns in (DIALOGUE, OTHER)]
    exact = logits(model, processor, DIALOGUE)
    monkeypatch.setattr(precision, "DIALOGUES", 1)
    figures = precision.compare(model, processor, windows)
    assert [*figures] == [*precision.WAYS]
    assert figures[precision.EXACT]["agreement"] == 1 and not figures[precision.EXACT]["largest_difference"]
    for way in [way for way in precision.WAYS if way != precision.EXACT]:
        assert 0 < figures[way]["largest_difference"] < 0.2, way
        assert 0 <= figures[way]["agreement"] <= 1 and figures[way]["times_faster"]["processor"]["median"] > 0
    assert torch.equal(logits(model, processor, DIALOGUE), exact)
    rounded = np.abs(
        (logits(computing_in(model, "bfloat16"), processor, DIALOGUE) - exact).numpy(force=True)
    ).max()
    assert figures[precision.CHOSEN]["largest_difference"] >= 0.9 * rounded


def test_a_label_that_changes_is_counted(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = build(tokenizer, "emonet-fast", speaker_memory="none")
    windows = [processor.encode(turns) for turns in (DIALOGUE, OTHER)]
    turns = sum(map(len, (DIALOGUE, OTHER)))
    predict = precision.predict_logits

    def with_one_other_label(model: Any, processor: Any, part: Any, memory: Any) -> list[np.ndarray]:
        found = predict(model, processor, part, memory)
        if model.emonet.encoder.dtype == torch.bfloat16:  # all weights
            found[0][0] = -found[0][0]
        return found

    monkeypatch.setattr(precision, "predict_logits", with_one_other_label)
    figures = precision.compare(model, processor, windows)
    assert figures[precision.EXACT]["expected_agreement"] == 1 > figures["whole"]["expected_agreement"]
    assert figures["whole"]["agreement"] == pytest.approx(1 - 1 / turns)
    assert figures["whole"]["weighted_f1"] != figures[precision.EXACT]["weighted_f1"]
