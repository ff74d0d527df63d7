"""Recompute the README's results table from the packed predictions."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from emonet.evaluation.scored_runs import find_runs
from emonet.evaluation.significance import bootstrap_interval, dialogue_counts, metric_of_counts

ROOT = Path(__file__).parents[2]
# The first column of the README's table begins with the preset.
CELLS = {
    ("emonet", "smollm2"): "emorynlp-hunt/emorynlp/emonet",
    ("emonet-lm", "smollm2"): "emorynlp-lm/emorynlp/emonet-lm",
    ("compm-frozen", "smollm2"): "emorynlp-hunt/emorynlp/compm",
    ("emonet-thesis", "minilm"): "emorynlp-finetuned/emorynlp/identity-memory-weighted-emonet",
    ("context", "minilm"): "emorynlp-finetuned/emorynlp/context",
}
FAST = ("emonet-fast", "minilm")  # was scored before predictions were kept: confusion matrices
LINE = re.compile(r"^\| `([\w-]+)`[^|]*\| (\w+)[^|]*\| (\d+) \| (\d[^|]*) \|$", re.MULTILINE)


def readme_rows() -> dict[tuple[str, str], tuple[int, str]]:
    """(preset, backbone) → seeds and the figure as printed."""
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Results\n")[1].split("\n## ")[0]
    lines = LINE.findall(section.replace("**", ""))
    return {(preset, backbone): (int(seeds), figure) for preset, backbone, seeds, figure in lines}


def printed(values: Any) -> str:
    """Mean ± standard deviation over seeds, in percent."""
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}"


def test_every_row_of_the_readme_is_recomputed() -> None:
    assert readme_rows().keys() == {*CELLS, FAST}


@pytest.mark.parametrize("row", CELLS, ids="-".join)
def test_row_equals_its_packed_predictions(row: tuple[str, str]) -> None:
    folder = ROOT / "results" / CELLS[row]
    if not (folder.parents[1] / "predictions.parquet").is_file():
        pytest.skip("a source distribution has only the results that the notebook reads")
    counts = []
    for run in find_runs(str(folder)):
        labels = list(run.rows[0]["scores"])
        turns = [turn for turn in run.rows if turn["emotion"] is not None]
        gold, predicted = ([labels.index(turn[key]) for turn in turns] for key in ("emotion", "predicted"))
        counts.append(dialogue_counts(gold, predicted, [turn["dialogue_id"] for turn in turns], len(labels)))
        assert len(turns) == 1328
    interval = bootstrap_interval(np.stack(counts))
    figure = printed(metric_of_counts(np.stack(counts).sum(1)))
    seeds = len(counts)
    assert readme_rows()[row] == (seeds, f"{figure} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]")


def test_fast_row_equals_its_confusion_matrices() -> None:
    file = ROOT / "results" / "records.parquet"
    if not file.is_file():
        pytest.skip("a source distribution has only the results that the notebook reads")
    records = {row["file"]: row["content"] for row in pq.read_table(file).to_pylist()}
    names = [name for name in records if re.fullmatch(r"emonet-fast-minilm/seed-\d\.json", name)]
    values = []
    for name in names:
        record = json.loads(records[name])
        matrix = np.array(record["confusion_matrix"])
        assert matrix.sum() == record["n"] == 1328
        values.append(metric_of_counts(matrix))
    assert readme_rows()[FAST] == (len(names), printed(values))
