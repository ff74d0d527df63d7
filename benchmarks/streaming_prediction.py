"""Measure `emonet predict` on CSV files of growing length.

`python -m emonet.benchmarks.streaming_prediction --model RUN` prints the figures as JSON.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from ..data import load_conversations
from ..files.spreadsheet_cells import csv_of


def write_table(dataset: str, data_dir: str | None, turns: int, path: Path) -> None:
    """Write a CSV file of a corpus's dialogues, again and again under new ids."""
    corpus = load_conversations(dataset, data_dir)
    dialogues = [row["turns"] for split in corpus for row in corpus[split]]
    rows = (
        [f"d{number}", index, turn["speaker"], turn["text"]]
        for number, dialogue in enumerate(itertools.cycle(dialogues))
        for index, turn in enumerate(dialogue)
    )
    header = ["dialogue_id", "turn", "speaker", "text"]
    path.write_text(csv_of(header, itertools.islice(rows, turns)), "utf-8", newline="")


def measure(model: str, source: Path, options: Sequence[str]) -> dict[str, Any]:
    """Run `emonet predict` and read its rows from a pipe.

    Returns:
        Seconds to the first row and to the end, seconds of the processor, turns by
        second, and the peak of resident memory in MiB.
    """
    command = [sys.executable, "-m", "emonet.cli.main", "predict", "--model", model, str(source), *options]
    started = time.perf_counter()
    rows, first, peak = 0, 0.0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        watched = psutil.Process(process.pid)
        for _ in process.stdout:
            rows += 1
            first = first or time.perf_counter() - started
            if rows % 64 == 1:
                peak = max(peak, watched.memory_info().rss)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"emonet predict ended with status {process.returncode}")
    seconds, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return {
        "turns": rows,
        "seconds_to_first_row": round(first, 2),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "turns_per_cpu_second": round(rows / cpu, 1),
        "peak_mib": round(peak / 2**20, 1),
    }


def main() -> None:
    """Measure each length and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="run folder")
    parser.add_argument("--dataset", default="emorynlp", help="corpus whose texts are labelled")
    parser.add_argument("--data-dir", help="folder with the corpus's files")
    parser.add_argument("--turns", type=int, nargs="+", default=[3_000, 30_000])
    parser.add_argument("options", nargs="*", help="options of `emonet predict`, after --")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "torch": version("torch"),
        },
        "runs": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for turns in arguments.turns:
            source = Path(folder, f"{turns}.csv")
            write_table(arguments.dataset, arguments.data_dir, turns, source)
            figures["runs"].append(measure(arguments.model, source, arguments.options))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
