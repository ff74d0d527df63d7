"""`emonet study` on the sample corpus with a tiny backbone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tiny_study import CELLS, run_study

from emonet.errors import EmoNetError
from emonet.studies.cells import stored_cell
from emonet.studies.packing import drop_cells

FILES = {"run.json", "metrics.json", "test_metrics.json", "predictions.jsonl.gz", "test_predictions.jsonl.gz"}


def times(folder: Path) -> dict[str, Any]:
    """Cell → its seconds, which differ in a second run."""
    found = {cell: stored_cell(folder, cell) for cell in CELLS}
    return {cell: (stored.run["seconds"], stored.run["epochs"]) for cell, stored in found.items() if stored}


def predicted(folder: Path, cell: str) -> list[dict[str, Any]]:
    stored = stored_cell(folder, cell)
    assert stored is not None
    return stored.predictions()


def figures(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {cell: predicted(folder, cell) for cell in CELLS}


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_cells_hold_figures_but_no_weights_or_text(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "cells.parquet",
        "predictions.parquet",
        "study.json",
        "report.md",
        "table.json",
        "plots",
    }
    for cell in CELLS:
        stored = stored_cell(finished, cell)
        assert stored is not None
        record = stored.run
        assert len(record["epochs"]) == 2 and {"weighted_f1", "macro_f1", "loss"} <= set(record["epochs"][0])
        assert record["cell"]["dataset_version"].startswith("sample-") and record["cell"]["seed"] == int(
            cell[-1]
        )
        rows = stored.predictions()
        assert len(rows) == 66 and set(rows[0]) == {
            "dialogue_id",
            "turn",
            "speaker",
            "emotion",
            "predicted",
            "scores",
        }
        assert stored.test["n"] == 66 and str(finished.parent) not in json.dumps(record)
    assert sum(path.stat().st_size for path in finished.glob("*.parquet")) < 20_000 * len(CELLS)


def test_a_finished_study_is_not_run_again(study: dict[str, Any], results: Path) -> None:
    before, table = times(results), (results / "table.json").read_bytes()
    run_study(study, results)
    assert times(results) == before and (results / "table.json").read_bytes() == table


def test_only_a_deleted_cell_is_run_again(study: dict[str, Any], results: Path) -> None:
    before, scores = times(results), figures(results)
    shutil.rmtree(results / CELLS[2])
    run_study(study, results)
    after = times(results)
    assert [cell for cell in CELLS if after[cell] != before[cell]] == [CELLS[2]] and figures(
        results
    ) == scores


@pytest.mark.slow
def test_fresh_cells_are_run_anew_by_pattern(study: dict[str, Any], results: Path) -> None:
    before = times(results)
    run_study(study, results, "--fresh", "sample/emonet")
    after = times(results)
    assert [cell for cell in CELLS if after[cell] != before[cell]] == [
        "sample/emonet/seed-1",
        "sample/emonet/seed-2",
    ]
    with pytest.raises(
        EmoNetError,
        match="'sample/emonett' matches no cell of the study; a cell is, for example, sample/context/seed-1",
    ):
        run_study(study, results, "--fresh", "sample/emonett")


@pytest.mark.slow
@pytest.mark.usefixtures("cached")
def test_only_runs_a_part_and_the_report_names_the_rest(
    study: dict[str, Any], tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "results"
    run_study(study, folder, "--only", "*/seed-1")
    assert set(times(folder)) == {CELLS[0], CELLS[1]} and "2 of 4 cells" in capsys.readouterr().out
    report = (folder / "report.md").read_text()
    assert (
        "**Missing:** “context” lacks seed 2; “EmoNet” lacks seed 2" in report and "1 (without 2)" in report
    )
    assert "dashed is “context”" in report and "the line is “context”" in report
    drop_cells(folder, [CELLS[0]])
    run_study(study, folder, "--report-only")
    report = (folder / "report.md").read_text()
    assert (
        "“context” has no finished cell" in report
        and "Without the reference there are no differences" in report
    )
    assert "dashed is" not in report and "the line is" not in report, "the pictures have no reference to name"


@pytest.mark.slow
def test_parallel_processes_give_the_same(study: dict[str, Any], results: Path, finished: Path) -> None:
    for cell in CELLS[2:]:
        shutil.rmtree(results / cell)
    run_study(study, results, "--jobs", "2")
    assert not (results / ".running").exists()
    for cell in CELLS:  # up to rounding: a process alone computes with more threads
        ours, theirs = (predicted(folder, cell) for folder in (results, finished))
        for row, other in zip(ours, theirs, strict=True):
            assert row["scores"] == pytest.approx(other["scores"], abs=2e-3)


COMMAND = """
import argparse, sys
from emonet.cli.study import add_commands
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    arguments = parser.parse_args()
    arguments.run(arguments)
"""


def killed_midway(study: dict[str, Any], folder: Path, jobs: int) -> str:
    """Kill the command when its first cell is finished; returns that cell."""
    script, file = folder.with_name("command.py"), folder.with_suffix(".json")
    script.write_text(COMMAND)
    file.write_text(json.dumps({**study, "seeds": list(range(1, 30))}))
    words = [
        sys.executable,
        str(script),
        "study",
        str(file),
        "--output-dir",
        str(folder),
        "--jobs",
        str(jobs),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not times(folder) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if jobs > 1:  # the workers notice by themselves
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("workers outlive the killed command")
    return next(iter(times(folder)))


@pytest.mark.slow
@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_continues(study: dict[str, Any], finished: Path, tmp_path: Path, jobs: int) -> None:
    folder = tmp_path / "results"
    first = killed_midway(study, folder, jobs)
    for cell in folder.glob("*/*/seed-*"):
        assert {path.name for path in cell.iterdir()} == FILES, "half a cell"
    before = times(folder)
    run_study(study, folder)
    assert times(folder)[first] == before[first] and figures(folder) == figures(finished)
    assert not (folder / ".running").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("emonet", "0.0.9", "emonet is '0.0.9' instead of '"),
        ("dataset_version", "sample-0", "dataset_version is 'sample-0' instead of 'sample-"),
        ("backbone", "bert", "backbone is 'bert' instead of 'tiny-bert"),
        ("config", {}, "config.freeze_backbone is 'not set' instead of True"),
        ("dtype", "bfloat16", "dtype is 'bfloat16' instead of 'float32'"),
    ],
)
def test_cells_of_another_recipe_are_refused(
    study: dict[str, Any], results: Path, key: str, value: Any, message: str
) -> None:
    edit(results / CELLS[3] / "run.json", lambda run: run["cell"].update({key: value}))
    before = times(results)
    with pytest.raises(
        EmoNetError,
        match=rf"cell {CELLS[3]} does not match the study: .*{message}.*--fresh '{CELLS[3]}', or delete",
    ):
        run_study(study, results)
    assert times(results) == before


@pytest.mark.slow
def test_fresh_replaces_a_cell_of_another_recipe(study: dict[str, Any], results: Path) -> None:
    edit(results / CELLS[3] / "run.json", lambda run: run["cell"].update(emonet="0.0.9"))
    before = times(results)
    run_study(study, results, "--fresh", CELLS[3])
    assert [cell for cell, when in times(results).items() if when != before[cell]] == [CELLS[3]]


def test_cells_of_a_changed_row_are_refused(study: dict[str, Any], results: Path) -> None:
    other = json.loads(json.dumps(study))
    other["rows"]["EmoNet"]["config"]["memory_window"] = 3
    for words in ([], ["--report-only"]):
        with pytest.raises(
            EmoNetError,
            match=r"sample/emonet/seed-1 .*: config.memory_window is (10|'not set') instead of 3",
        ):
            run_study(other, results, *words)


def test_an_incomplete_cell_is_refused(study: dict[str, Any], results: Path) -> None:
    (results / CELLS[0] / "test_metrics.json").unlink()
    with pytest.raises(
        EmoNetError, match=rf"{CELLS[0]} is incomplete: test_metrics.json missing. Run it again with --fresh"
    ):
        run_study(study, results)


def test_a_study_goes_on_in_the_dtype_of_its_cells(
    study: dict[str, Any], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cell in CELLS:  # of a time before there was a choice
        edit(results / cell / "run.json", lambda run: run["cell"].pop("dtype"))
    monkeypatch.setenv("EMONET_DTYPE", "bfloat16")
    before = times(results)
    run_study(study, results)
    assert times(results) == before
    with pytest.raises(EmoNetError, match=r"computed in float32, not in bfloat16.*Leave --dtype out"):
        run_study(study, results, "--dtype", "bfloat16")
    assert times(results) == before


@pytest.mark.slow
def test_cells_of_another_dtype_are_recorded(study: dict[str, Any], cached: None, tmp_path: Path) -> None:
    run_study(study, tmp_path / "results", "--dtype", "bfloat16")
    for path in CELLS:
        cell = stored_cell(tmp_path / "results", path)
        assert cell is not None
        assert cell.run["cell"]["dtype"] == cell.run["dtype"] == cell.test["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("key", "product"),
    [("dataset_version", "versions of the dataset"), ("emonet", "versions of emonet"), ("dtype", "dtypes")],
)
def test_a_report_does_not_mix_versions(study: dict[str, Any], results: Path, key: str, product: str) -> None:
    edit(results / CELLS[3] / "run.json", lambda run: run["cell"].update({key: "another"}))
    with pytest.raises(
        EmoNetError, match=f"different {product} cannot be in one table.*another in .*{CELLS[3]}"
    ):
        run_study(study, results, "--report-only")


def test_rows_that_do_not_fit_the_backbone_are_refused(study: dict[str, Any], tmp_path: Path) -> None:
    other = {**study, "rows": {**study["rows"], "deep": {"config": {"readout_layer": 9}}}}
    with pytest.raises(
        EmoNetError, match=r"Row 'deep' on .*: readout_layer=9, but the backbone has 3 layers"
    ):
        run_study(other, tmp_path / "results")
    assert not list((tmp_path / "results").rglob("run.json"))


@pytest.mark.slow
def test_a_failed_cell_does_not_stop_the_others(study: dict[str, Any], results: Path) -> None:
    broken = {"training": {"learning_rate_mapping": {"no_such_weight": 0.1}}}
    other = {**study, "rows": {**study["rows"], "broken": broken}, "seeds": [1]}
    with pytest.raises(
        EmoNetError, match=r"1 cells failed; .* sample/broken/seed-1: .*no parameter matches 'no_such_weight'"
    ):
        run_study(other, results)
    assert "“broken” has no finished cell" in (results / "report.md").read_text()
    with pytest.raises(EmoNetError, match="Every cell failed; the first, sample/broken/seed-1"):
        run_study({**other, "rows": {"broken": broken}, "reference": "broken", "pairs": []}, results)


def test_a_results_folder_is_locked(study: dict[str, Any], results: Path) -> None:
    (results / ".running").mkdir()
    with (
        FileLock(results / ".running" / "lock"),
        pytest.raises(EmoNetError, match="Another `emonet study` is running"),
    ):
        run_study(study, results)


def test_a_dataset_without_a_test_split_is_refused(study: dict[str, Any], tmp_path: Path) -> None:
    row = {"dialogue_id": "a", "speaker": "Ann", "text": "hello", "emotion": "Sad"}
    (tmp_path / "train.jsonl").write_text(json.dumps(row))
    with pytest.raises(EmoNetError, match="has no validation split, which a study needs; it has train"):
        run_study({**study, "datasets": [{"name": str(tmp_path)}]}, tmp_path / "results")
