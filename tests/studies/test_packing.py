"""Packed studies hold every file, and readers take both forms."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_study import CELLS, run_study

from emonet.errors import EmoNetError
from emonet.evaluation.packed_cells import packed_study
from emonet.evaluation.predictions import read_predictions, write_without_text
from emonet.evaluation.scored_runs import find_runs
from emonet.studies.cells import CELL_FILES
from emonet.studies.packing import drop_cells, pack_study, unpack_study


def contents(folder: Path) -> dict[str, Any]:
    """File → its JSON documents, with the order of keys."""
    found = {}
    for file in sorted(folder.glob("*/*/seed-*/*")) + sorted(folder.glob("*/speakers.json")):
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
        lines = text.splitlines() if file.suffix == ".gz" else [text]
        found[file.relative_to(folder).as_posix()] = [json.dumps(json.loads(line)) for line in lines]
    return found


def edit_rows(file: Path, **changes: Any) -> None:
    """Change the first prediction of a file."""
    rows = read_predictions(file)
    rows[0].update(changes)
    write_without_text(file, rows)


def test_unpacking_restores_every_file(results: Path) -> None:
    first = results / CELLS[0]
    run = json.loads((first / "run.json").read_text())
    (first / "run.json").write_text(json.dumps({**run, "only_here": None, "small": 1e-17, "text": "Où?"}))
    label = next(iter(read_predictions(first / "predictions.jsonl.gz")[0]["scores"]))
    edit_rows(first / "predictions.jsonl.gz", predicted=label)  # not always the likeliest
    before = contents(results)
    assert pack_study(results) == len(CELLS) and not (results / "sample").exists()
    assert unpack_study(results) == len(CELLS) and not list(results.glob("*.parquet"))
    assert contents(results) == before and len(before) == len(CELLS) * len(CELL_FILES) + 1


@pytest.mark.slow
def test_both_forms_give_the_same_reports_and_comparisons(
    study: dict[str, Any], finished: Path, results: Path, capsys: Any
) -> None:
    run_study(study, results, "--report-only")
    assert (
        f"keeps 4 cells in folders of their own; `emonet results pack {results}` packs them"
        in capsys.readouterr().err
    )
    for name in ("report.md", "table.json"):
        assert (results / name).read_bytes() == (finished / name).read_bytes()
    run_study(study, finished.parent / "results", "--report-only")
    assert not capsys.readouterr().err
    for where in ("sample/context", "sample/context/seed-2", "sample/emonet/seed-[12]"):
        for split in ("test", "validation"):
            ours, theirs = (find_runs(str(folder / where), split) for folder in (finished, results))
            assert [(run.seed, run.dataset_version, run.rows) for run in ours] == [
                (run.seed, run.dataset_version, run.rows) for run in theirs
            ]
    with pytest.raises(
        EmoNetError, match=r"sample/contxt: .* holds no such cell; one is, for example, sample/context/seed-1"
    ):
        find_runs(str(finished / "sample/contxt"))


def test_shared_predictions_are_stored_once(results: Path, finished: Path) -> None:
    before = contents(results)
    pack_study(results, [finished])
    packed = packed_study(results)
    assert packed is not None and packed.predictions_in.keys() == set(CELLS)
    assert (results / "predictions.parquet").stat().st_size < (
        finished / "predictions.parquet"
    ).stat().st_size / 5
    drop_cells(results, [CELLS[0]])
    unpack_study(results)
    assert contents(results) == {name: text for name, text in before.items() if not name.startswith(CELLS[0])}


def test_a_newer_folder_replaces_a_packed_cell(results: Path) -> None:
    copy = Path(shutil.copytree(results / CELLS[1], results.parent / "kept"))
    pack_study(results)
    shutil.copytree(copy, results / CELLS[1])
    run = json.loads((copy / "run.json").read_text())
    (results / CELLS[1] / "run.json").write_text(json.dumps({**run, "best_epoch": 77}))
    assert pack_study(results) == len(CELLS)
    packed = packed_study(results)
    assert packed is not None and packed.documents(CELLS[1])["run"]["best_epoch"] == 77


def test_cells_that_cannot_be_packed_stay_in_folders(results: Path) -> None:
    file = results / CELLS[2] / "predictions.jsonl.gz"
    scores = read_predictions(file)[0]["scores"]
    for change, message in (
        ({"scores": {**scores, next(iter(scores)): 0.12345}}, "more than four decimals"),
        ({"scores": {}}, "has other keys or labels"),
        ({"mood": 1}, "has other keys or labels"),
    ):
        before = file.read_bytes()
        edit_rows(file, **change)
        with pytest.raises(EmoNetError, match=message):
            pack_study(results)
        assert not list(results.glob("*.parquet")) and len(list(results.glob("*/*/seed-*"))) == len(CELLS)
        file.write_bytes(before)


def test_empty_folders_and_broken_files_are_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="holds no cell of a study"):
        pack_study(tmp_path / "results" / "plots")
    with pytest.raises(EmoNetError, match="holds no packed cells"):
        unpack_study(results)
    pack_study(results)
    (results / "predictions.parquet").write_bytes(b"no Parquet")
    with pytest.raises(EmoNetError, match=r"Cannot read .*predictions.parquet as a Parquet file"):
        find_runs(str(results / CELLS[0]))
    (results / "predictions.parquet").unlink()
    with pytest.raises(EmoNetError, match=r"predictions.parquet is missing"):
        find_runs(str(results / CELLS[0]))
