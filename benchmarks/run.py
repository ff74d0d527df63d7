"""All cases in turn, round by round, so that a machine that gets slower slows all of
them; then ratios and a table.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tqdm.auto import tqdm

from ..checkpoint.run_record import versions, write_json
from ..errors import EmoNetError
from .cases import CASES
from .language_cases import LANGUAGE_CASES
from .table import ratios_of, table_of
from .workload import write_workload

RESULT_FILE = "benchmark.json"


def run_benchmarks(
    output_dir: Path,
    *,
    dataset: str = "sample",
    data_dir: str | None = None,
    backbone: str = "minilm",
    dialogues: int = 16,
    rounds: int = 3,
    only: Sequence[str] | None = None,
) -> str:
    """Measure, write `benchmark.json` and `benchmark.md` into `output_dir`, and give the
    table.

    Raises:
        EmoNetError: for an unknown case, or one that failed, with the end of what it
            printed.
    """
    import torch

    cases = {**CASES, **LANGUAGE_CASES}
    unknown = set(only or ()) - set(cases)
    if unknown:
        raise EmoNetError(f"Unknown case {sorted(unknown)[0]!r}; the cases are {', '.join(cases)}.")
    names = [name for name in cases if name in (only or CASES)]
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        workload = write_workload(dataset, data_dir, dialogues, Path(scratch))
        for name in tqdm(names * rounds, desc="cases"):
            measured[name].append(_run_apart(name, Path(scratch), backbone))
    result = {
        "command": f"emonet speed --dataset {dataset} --backbone {backbone} --dialogues {dialogues} --rounds {rounds}"
        + (f" --only {' '.join(names)}" if only else ""),
        "workload": workload,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "ratios": ratios_of(measured),
        "medians": {name: _medians(rows) for name, rows in measured.items()},
        "rounds": measured,
    }
    output_dir.mkdir(parents=True, exist_ok=True)
    write_json(output_dir / RESULT_FILE, result)
    table = table_of(result)
    (output_dir / "benchmark.md").write_text(table, "utf-8")
    return table


def _run_apart(case: str, folder: Path, backbone: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "emonet.benchmarks.worker", case, str(folder), backbone]
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise EmoNetError(f"The case {case} failed: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _medians(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median of every figure over the rounds; figures by key go in one level deep."""
    first = rows[0]
    return {
        name: _medians([row[name] for row in rows])
        if isinstance(value, dict)
        else median(row[name] for row in rows)
        for name, value in first.items()
    }
