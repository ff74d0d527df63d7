"""Batches of similar length: little padding, every window once."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import OTHER, build

from emonet.inference.predict import batches_by_length, predict_logits, window_tokens


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 9), st.sampled_from([1 / 3, 1 / 8, 0]))
def test_batches_are_bounded(lengths: list[int], batch_size: int, padding: float) -> None:
    batches = batches_by_length([{"input_ids": [0] * length} for length in lengths], batch_size, 999, padding)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = lengths[batch[0]]
        assert len(batch) <= batch_size and (len(batch) == 1 or len(batch) * longest <= 999)
        assert all(longest - lengths[index] <= padding * lengths[index] + 1e-9 for index in batch)


@pytest.mark.parametrize(("device", "share"), [("cpu", 1 / 8), ("cuda", 1 / 3)])
def test_a_cpu_reads_less_padding(
    tokenizer: Any, device: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = build(tokenizer, "emonet-fast", speaker_memory="none")
    windows = [processor.encode(OTHER[:1] * count) for count in range(1, 25)]
    lengths: list[list[int]] = []

    class Done(Exception):
        pass

    def collate(batch: list[dict[str, Any]], memory: Any) -> Any:
        lengths.append([window_tokens(window) for window in batch])
        raise Done

    monkeypatch.setattr(processor, "collate", collate)
    monkeypatch.setattr(type(model), "device", property(lambda self: torch.device(device)))
    with pytest.raises(Done):
        predict_logits(model, processor, windows)
    [(longest, *others)] = lengths
    assert others and all(longest - length <= share * length for length in others)
    assert (longest - others[-1]) > others[-1] / 8 or device == "cpu"
