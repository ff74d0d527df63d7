"""Which dtype `auto` is: measured once, remembered, and never a slower one."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from emonet.engines import auto_dtype
from emonet.engines.auto_dtype import FILE, measured_gain, remembered_gain, resolved_dtype
from emonet.errors import EmoNetError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Pretend a gain of 16 bits; the list that is returned has an entry a measurement."""
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path))
    monkeypatch.delenv("EMONET_DTYPE", raising=False)
    measured: list[str] = []

    def pretend(gain: float) -> list[str]:
        def measure(device: str, dtype: str) -> float:
            measured.append(dtype)
            return gain

        auto_dtype._fastest.cache_clear()  # as a new process
        monkeypatch.setattr(auto_dtype, "measured_gain", measure)
        return measured

    yield pretend
    auto_dtype._fastest.cache_clear()


def clock(*seconds: float) -> Callable[[], float]:
    """A clock by which products take `seconds`, again and again."""
    now = itertools.accumulate(step for pair in itertools.cycle(seconds) for step in (0.0, pair))
    return lambda: next(now)


@pytest.mark.parametrize(
    ("gain", "dtype"), [(8.0, "bfloat16"), (1.31, "bfloat16"), (1.2, "float32"), (0.1, "float32")]
)
def test_a_slower_unit_is_not_used(machine: Callable[..., list[str]], gain: float, dtype: str) -> None:
    machine(gain)
    assert resolved_dtype("auto") == dtype
    assert resolved_dtype("float32") == "float32" and resolved_dtype("bfloat16") == "bfloat16"


def test_it_is_measured_once_and_remembered(machine: Callable[..., list[str]], tmp_path: Path) -> None:
    machine(2.3)
    assert resolved_dtype("auto") == resolved_dtype("auto") == "bfloat16"
    measured = machine(0.5)  # a busy moment changes nothing
    assert resolved_dtype("auto") == "bfloat16"
    assert measured == ["bfloat16"]
    kept = json.loads((tmp_path / FILE).read_text())
    (name,) = kept
    assert torch.__version__ in name and auto_dtype.processor_name() in name


def test_another_processor_or_pytorch_is_measured_anew(
    machine: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(2.3)
    assert resolved_dtype("auto") == "bfloat16"
    monkeypatch.setattr(auto_dtype, "processor_name", lambda: "another")
    machine(0.5)
    assert resolved_dtype("auto") == "float32"
    assert len(json.loads((tmp_path / FILE).read_text())) == 2  # a cache may be shared


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"KEY": "2.3"}', '{"KEY": -1.0}', '{"KEY": true}', "\x00\ud7ff"]
)
def test_a_damaged_memory_is_measured_again(
    machine: Callable[..., list[str]], tmp_path: Path, content: str
) -> None:
    key = f"{auto_dtype.processor_name()}, cpu, bfloat16, PyTorch {torch.__version__}"
    (tmp_path / FILE).write_text(content.replace("KEY", key))
    measured = machine(0.5)
    assert resolved_dtype("auto") == "float32" and measured == ["bfloat16"]
    assert json.loads((tmp_path / FILE).read_text()) == {key: 0.5}


@pytest.mark.skipif(os.name == "nt", reason="a file in place of the folder is another error there")
def test_a_cache_that_can_not_be_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert remembered_gain("cpu", "bfloat16", lambda device, dtype: 2.0, tmp_path / "file") == 2.0
    assert (tmp_path / "file").read_text() == ""


def test_the_medians_of_products_in_turn_decide() -> None:
    assert measured_gain("cpu", "bfloat16", clock(4.0, 2.0)) == pytest.approx(2)
    # One product in three waits for another process.
    busy = clock(4.0, 2.0, 4.0, 40.0, 4.0, 2.0)
    assert measured_gain("cpu", "bfloat16", busy) == pytest.approx(2)
    assert measured_gain("cpu", "bfloat16", clock(1.0, 50.0)) == pytest.approx(1 / 50)
    assert measured_gain("cpu", "bfloat16", clock(0.0, 0.0)) == 1  # a clock without resolution


def test_the_environment_decides_what_auto_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_DTYPE", "bfloat16")
    assert resolved_dtype("auto") == "bfloat16" and resolved_dtype("float32") == "float32"
    monkeypatch.setenv("EMONET_DTYPE", "half")
    with pytest.raises(EmoNetError, match=r"EMONET_DTYPE='half' is not one of auto, float32, bfloat16"):
        resolved_dtype("auto")
    with pytest.raises(EmoNetError, match=r"dtype='int8' is not one of"):
        resolved_dtype("int8")
