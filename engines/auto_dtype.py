"""Choose the dtype of `--dtype auto`: 16 bits where this machine is faster with them."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ..constants import AUTO, DTYPES
from ..errors import EmoNetError
from ..files.cache import cache_root
from ..files.guard import read_json

FILE = "dtype.json"  # in the cache folder
# Casting takes time too: a product that gains less would gain nothing in a whole pass.
_LEAST_GAIN = 1.3
_ROUNDS = 9
_TOKENS, _WIDTH = 256, 768


def resolved_dtype(dtype: str, device: torch.device | str = "cpu") -> str:
    """Turn `auto` into the dtype to compute in on a device; other names stay.

    `auto` is `$EMONET_DTYPE` if that is set. Else it is bfloat16 on GPUs with units for
    it (NVIDIA's from compute capability 8.0 on). On a CPU it is bfloat16, and on Apple's
    GPUs float16, if a short measured product is at least 1.3 times faster than in
    float32. That is measured once, and kept in the cache folder by processor and PyTorch.

    Raises:
        EmoNetError: for a name that is none of `DTYPES`, also in `$EMONET_DTYPE`.
    """
    source, name = "dtype", dtype
    if dtype == AUTO and (configured := os.environ.get("EMONET_DTYPE")):
        source, name = "EMONET_DTYPE", configured
    if name not in DTYPES:
        raise EmoNetError(f"{source}={name[:40]!r} is not one of {', '.join(DTYPES)}.")
    return _fastest(torch.device(device).type) if name == AUTO else name


@lru_cache
def _fastest(device: str) -> str:
    if device == "cuda":
        has_units = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_units else "float32"
    half = {"cpu": "bfloat16", "mps": "float16"}.get(device)
    if half is None:
        return "float32"
    return half if remembered_gain(device, half) >= _LEAST_GAIN else "float32"


def remembered_gain(
    device: str, dtype: str, measure: Callable[[str, str], float] | None = None, folder: Path | None = None
) -> float:
    """How many times faster than in float32 a product is, measured on the first call.

    The answer is kept so that a busy machine does not compute in another dtype from one
    run to the next.

    Args:
        device: `cpu` or `mps`.
        dtype: The 16-bit type.
        measure: In place of `measured_gain`.
        folder: In place of `cache_root()`.
    """
    file = (folder or cache_root()) / FILE
    key = f"{processor_name()}, {device}, {dtype}, PyTorch {torch.__version__}"
    kept = _read(file)
    if key not in kept:
        gain = round((measure or measured_gain)(device, dtype), 2)
        kept = {**_read(file), key: gain}  # another process may have written meanwhile
        with suppress(OSError):  # a cache that is full or read-only: measure in each process
            _write(file, kept)
    return kept[key]


def measured_gain(device: str, dtype: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Time a layer's products in `dtype` and float32 in turn; divide the medians."""
    left = torch.ones(_TOKENS, _WIDTH, device=device)
    right = torch.ones(_WIDTH, _WIDTH, device=device)
    pairs = [(left, right), (left.to(getattr(torch, dtype)), right.to(getattr(torch, dtype)))]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS + 1):
        for seconds, (states, weights) in zip(times, pairs, strict=True):
            started = clock()
            torch.nn.functional.linear(states, weights)
            if device == "mps":
                torch.mps.synchronize()
            seconds.append(clock() - started)
        if len(times[0]) > 2 and min(times[1]) > 4 * min(times[0]):
            break  # emulated: all rounds would take seconds
    full, half = (median(seconds[1:]) for seconds in times)  # the first prepares the kernel
    return full / half if half > 0 else 1.0


def processor_name() -> str:
    """The name of the processor, with its units for matrix products."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # since PyTorch 2.11
    name = capabilities.get("cpu_name") or platform.processor() or platform.machine()
    units = [unit for unit in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16") if capabilities.get(unit)]
    return " ".join([name, *units])


def _read(file: Path) -> dict[str, float]:
    """The gains that are kept; nothing of a file that is missing or damaged."""
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: gain for key, gain in content.items() if isinstance(gain, float) and 0 < gain < 1000}


def _write(file: Path, content: dict[str, float]) -> None:
    """Write the file as a whole, or leave it as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".json", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(content, indent=1) + "\n")
        os.chmod(temporary, 0o644)  # a cache may be shared
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
