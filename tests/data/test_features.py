"""Cached vectors of a frozen backbone: found again by dialogue, whatever the split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_training import frozen

from emonet.data.features import cached_turn_features


@pytest.fixture
def parts(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, list[Any], list[int]]:
    """Model, processor, windows, and the number of windows of each pass."""
    model, processor, split, _ = frozen(tokenizer)
    read: list[int] = []
    original = model.emonet.encode_turns

    def counted(**batch: Any) -> Any:
        read.append(len(batch["input_ids"]))
        return original(**batch)

    monkeypatch.setattr(model.emonet, "encode_turns", counted)
    windows = [
        {name: value for name, value in window.items() if name != "turn_embeds"} for window in split.examples
    ]
    return model.emonet, processor, windows, read


def test_other_splits_find_the_vectors_of_their_dialogues(parts: Any, tmp_path: Path) -> None:
    model, processor, windows, read = parts
    first = cached_turn_features(model, processor, windows[:8], tmp_path, progress=False)
    assert sum(read) == 8
    read.clear()
    again = cached_turn_features(model, processor, windows[5:1:-1], tmp_path, progress=False)
    assert not read and all(map(np.array_equal, again, first[5:1:-1]))
    more = cached_turn_features(model, processor, windows[4:12], tmp_path, progress=False)
    assert sum(read) == 4, "those alone that were missing"
    assert [len(part) for part in more] == [len(window["speaker_ids"]) for window in windows[4:12]]
    assert all(map(np.array_equal, more[:4], first[4:8]))


@pytest.mark.parametrize("damage", ["table", "index"])
def test_damaged_files_are_computed_again(parts: Any, damage: str, tmp_path: Path) -> None:
    model, processor, windows, read = parts
    first = cached_turn_features(model, processor, windows[:4], tmp_path, progress=False)
    kept = [np.array(part) for part in first]
    (index,) = tmp_path.rglob("*.json")
    if damage == "table":
        index.with_suffix(".npy").write_bytes(b"no table")
    else:
        index.write_text(json.dumps(["no", "index"]))
    read.clear()
    again = cached_turn_features(model, processor, windows[:4], tmp_path, progress=False)
    assert all(map(np.allclose, again, kept)) and (damage == "index" or sum(read) == 4)
