"""`emonet study --protocol episodes`, with trainings that are faked."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_trainings import FakeModels
from tiny_study import run_study

from emonet.data import load_conversations
from emonet.errors import EmoNetError
from emonet.evaluation.packed_cells import packed_study
from emonet.evaluation.predictions import counts_of
from emonet.evaluation.scored_runs import find_runs
from emonet.studies import runner, training
from emonet.studies.cells import stored_cell
from emonet.studies.packing import pack_study, unpack_study
from emonet.studies.report import write_study_report
from emonet.studies.study import read_study
from emonet.studies.table import fold_tables

FOLDS = ("--protocol", "episodes", "--folds", "3")


@pytest.fixture
def kept(study: dict[str, Any]) -> dict[str, Any]:
    """The tiny study with the probabilities of one of its rows."""
    return {**study, "scores": ["context"]}


def run_without_report(study: dict[str, Any], folder: Path, file: Path, folds: int = 3) -> None:
    file.write_text(json.dumps(study))
    failures = runner.run_study(read_study(file).by_protocol("episodes", folds), folder, progress=False)
    assert not failures


def test_every_turn_is_scored_once_and_pooled(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    file, folder = tmp_path / "study.json", tmp_path / "results"
    run_without_report(kept, folder, file)
    run_without_report(kept, folder, file)
    assert len(models.trained) == 2 * 2 * (1 + 3), "rows × seeds × (the public split and the folds)"
    corpus = load_conversations("sample", history_scope="none")
    turns = Counter(
        (row["dialogue_id"], index)
        for part in corpus.values()
        for row in part
        for index in range(len(row["turns"]))
    )
    for row in ("context", "emonet"):
        runs = find_runs(str(folder / "sample" / row / "episodes"))
        assert [run.seed for run in runs] == [1, 2]
        for run in runs:
            assert Counter((item["dialogue_id"], item["turn"]) for item in run.rows) == turns
            assert run.dataset_version == f"{corpus.dataset_version}+episodes.3"
            assert bool(run.rows[0]["scores"]) is (row == "context")
        assert [len(run.rows) for run in find_runs(str(folder / "sample" / row))] == [66, 66], (
            "the public one"
        )
    tables = fold_tables(read_study(file).by_protocol("episodes", 3), "sample", folder, 100)
    assert tables is not None
    by_episode, by_dialogue = tables
    expected = [counts_of(run.rows, corpus.labels).sum(0) for run in runs]
    for table, units in ((by_episode, 11), (by_dialogue, 65)):
        row = table.rows["EmoNet"]
        assert row.counts.shape == (2, units, 7, 7) and table.unit == table.unit
        assert (row.counts.sum(1) == np.array(expected)).all()
    wide, narrow = (table.rows["EmoNet"].interval for table in tables)
    assert (wide.n_dialogues, narrow.n_dialogues, wide.n_turns) == (11, 65, 561)
    assert wide.value == narrow.value and (wide.low, wide.high) != (narrow.low, narrow.high)


def test_a_killed_study_ends_with_the_same_files(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    kept = {**kept, "seeds": [1]}
    run_without_report(kept, folders[0], tmp_path / "study.json")
    trainings = models.trained.copy()
    models.trained.clear()
    for dies_at in (3, 6):
        models.dies_at = dies_at
        with pytest.raises(KeyboardInterrupt):
            run_without_report(kept, folders[1], tmp_path / "study.json")
    models.dies_at = None
    run_without_report(kept, folders[1], tmp_path / "study.json")
    assert models.trained == trainings, "no cell twice, none left out"
    for name in ("cells.parquet", "predictions.parquet", "study.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_folders_and_packed_cells_hold_the_same(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    run_without_report({**kept, "seeds": [1]}, folder, tmp_path / "study.json")
    packed = {row: find_runs(str(folder / "sample" / row / "episodes"))[0] for row in ("context", "emonet")}
    before = (folder / "predictions.parquet").read_bytes()
    unpack_study(folder)
    assert not (folder / "sample/emonet/seed-1-fold-0-of-3/predictions.jsonl.gz").exists()
    for row, run in packed.items():
        assert find_runs(str(folder / "sample" / row / "episodes"))[0].rows == run.rows
        assert len(find_runs(str(folder / "sample" / row))) == 1, "folds are no seeds"
    pack_study(folder)
    assert (folder / "predictions.parquet").read_bytes() == before


def test_other_protocols_folds_and_versions_are_not_mixed(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    study, folder = {**kept, "seeds": [1]}, tmp_path / "results"
    run_without_report(study, folder, tmp_path / "study.json")
    for words, asked in (
        ((), "--protocol public"),
        (("--protocol", "episodes"), "--protocol episodes --folds 5"),
    ):
        for more in ((), ("--report-only",)):
            with pytest.raises(
                EmoNetError, match=rf"of 3 episode folds, which {asked} would not score. Give .* --folds 3"
            ):
                run_study(study, folder, *words, *more)
    with pytest.raises(EmoNetError, match="--folds is for --protocol episodes"):
        run_study(study, folder, "--folds", "3")
    unpack_study(folder)
    cell = "sample/emonet/seed-1-fold-1-of-3"
    file = folder / cell / "run.json"
    whole = json.loads(file.read_text())
    for change, message in (
        ({"fold": [2, 3]}, r"fold is \[2, 3\] instead of \[1, 3\]"),
        ({"emonet": "0.0.9"}, "emonet is '0.0.9' instead of"),
        ({"dataset_version": "sample-1+episodes.3"}, r"dataset_version is 'sample-1\+episodes.3' instead of"),
    ):
        file.write_text(json.dumps({**whole, "cell": {**whole["cell"], **change}}))
        with pytest.raises(EmoNetError, match=rf"The cell {cell} does not match the study: .*{message}"):
            run_study(study, folder, *FOLDS)
    file.write_text(json.dumps({**whole, "cell": {**whole["cell"], "emonet": "0.0.9"}}))
    with pytest.raises(EmoNetError, match="different versions of emonet cannot be in one table"):
        run_study(study, folder, *FOLDS, "--report-only")
    file.write_text(json.dumps(whole))
    shutil.rmtree(folder / "sample/emonet/seed-1-fold-2-of-3")
    shutil.copytree(folder / cell, folder / "sample/emonet/seed-1-fold-2-of-3")
    with pytest.raises(EmoNetError, match=r"fold is \[1, 3\] instead of \[2, 3\]"):
        run_study(study, folder, *FOLDS, "--report-only")


def test_the_report_shows_folds_beside_the_public_test_set(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    kept = {**kept, "seeds": [1]}
    file = tmp_path / "study.json"
    run_without_report(kept, folder, file)
    write_study_report(read_study(file).by_protocol("episodes", 3), folder, resamples=100)
    report, table = (folder / "report.md").read_text(), json.loads((folder / "table.json").read_text())
    assert "3 folds of 11 whole episodes (65 dialogues)" in report and "### The public test set" in report
    assert (folder / "plots" / "sample-folds.png").is_file()
    (found,), (public,) = table["episode_folds"], table["datasets"]
    assert (found["n_episodes"], found["n_turns"], public["n_turns"]) == (11, 561, 66)
    row, over = found["rows"][1], found["over_dialogues"]["rows"][1]
    line = next(line for line in report.splitlines() if line.startswith("| EmoNet | 1 |"))
    for figure in (
        row["weighted_f1"]["mean"],
        *row["interval"],
        *over["interval"],
        public["rows"][1]["weighted_f1"]["mean"],
    ):
        assert f"{100 * figure:.2f}" in line


def test_data_without_public_splits_has_folds_alone(
    kept: dict[str, Any], models: FakeModels, tmp_path: Path
) -> None:
    data, folder = tmp_path / "data", tmp_path / "results"
    data.mkdir()
    corpus = load_conversations("sample", history_scope="none")
    with (data / "train.jsonl").open("w") as file:
        for row in corpus["train"]:
            for turn in row["turns"]:
                line = {"dialogue_id": row["dialogue_id"], "group": row["dialogue_id"][:6]}
                line |= {
                    "speaker": turn["speaker"],
                    "text": turn["text"],
                    "emotion": corpus.labels[turn["emotion"]],
                }
                file.write(json.dumps(line) + "\n")
    study = {**kept, "datasets": [{"name": str(data)}], "seeds": [1]}
    file = tmp_path / "study.json"
    run_without_report(study, folder, file)
    write_study_report(read_study(file).by_protocol("episodes", 3), folder, resamples=100)
    packed = packed_study(folder)
    assert packed is not None and len(packed.paths) == 6 and all("-fold-" in path for path in packed.paths)
    report = (folder / "report.md").read_text()
    assert "3 folds of 9 whole episodes" in report and "The public test set" not in report


@pytest.mark.slow
@pytest.mark.usefixtures("cached")
def test_seeds_together_end_as_alone(
    kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeds of a frozen row share corpus and vectors, and give the same figures."""
    row = {"rows": {"EmoNet": kept["rows"]["EmoNet"]}, "reference": "EmoNet"}
    study = {**kept, **row, "pairs": [], "scores": ["EmoNet"], "seeds": [1, 2]}
    run_without_report(study, tmp_path / "together", tmp_path / "study.json", folds=2)
    monkeypatch.setattr(training.Task, "is_frozen", False)
    run_without_report(study, tmp_path / "alone", tmp_path / "study.json", folds=2)
    for cell in ("seed-1", "seed-2", "seed-2-fold-1-of-2"):
        first, second = (
            stored_cell(tmp_path / name, f"sample/emonet/{cell}") for name in ("together", "alone")
        )
        assert first is not None and second is not None
        assert first.validation.keys() == second.validation.keys() and first.test.keys() == second.test.keys()
        assert first.run.keys() == second.run.keys() and first.run["cell"] == second.run["cell"]
        for row, other in zip(first.predictions(), second.predictions(), strict=True):
            assert row.keys() == other.keys()
            if row["scores"]:
                assert row["scores"] == pytest.approx(other["scores"], abs=2e-3)
            else:
                assert row == other


@pytest.mark.slow
@pytest.mark.usefixtures("cached")
def test_a_real_study_by_folds(kept: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    run_study({**kept, "seeds": [1]}, folder, *FOLDS)
    report = (folder / "report.md").read_text()
    assert "Every one of 561 annotated turns is scored once" in report
    runs = [find_runs(str(folder / "sample" / row / "episodes"))[0] for row in ("context", "emonet")]
    assert len(runs[0].rows) == len(runs[1].rows) == 561 and runs[0].rows != runs[1].rows
