"""Run the cases of `emonet bench` in rounds, and compute ratios and a table.

Rounds spread a change of the machine's speed over all cases.
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
    """Measure, and write `benchmark.json` and `benchmark.md` to `output_dir`.

    Args:
        output_dir: Folder for the results.
        dataset: Name of a corpus, or a file or folder.
        data_dir: Folder with the corpus's files.
        backbone: Hub id, folder, or name of an embedded backbone.
        dialogues: Number of training dialogues.
        rounds: How often to run every case.
        only: Names of the cases to run, by default those of `CASES`.

    Returns:
        The table, in Markdown.

    Raises:
        EmoNetError: If a case is unknown or fails.
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
            measured[name].append(_run_in_process(name, Path(scratch), backbone))
    command = f"emonet bench --dataset {dataset} --backbone {backbone}"
    command += f" --dialogues {dialogues} --rounds {rounds}"
    if only:
        command += f" --only {' '.join(names)}"
    result = {
        "command": command,
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


def _run_in_process(case: str, folder: Path, backbone: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "emonet.benchmarks.worker", case, str(folder), backbone]
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise EmoNetError(f"The case {case} failed: {process.stderr.strip()[-600:]}")
    figures: dict[str, Any] = json.loads(process.stdout.strip().splitlines()[-1])
    return figures


def _medians(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median of every figure over the rounds, also in nested figures."""
    first = rows[0]
    return {
        name: _medians([row[name] for row in rows])
        if isinstance(value, dict)
        else median(row[name] for row in rows)
        for name, value in first.items()
    }
