"""Studies of published systems report cost, causality and published figures."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_study import tiny_study

from emonet.cli.main import main
from emonet.studies.packing import unpack_study
from emonet.studies.published import published
from emonet.studies.study import read_study


@pytest.mark.slow
def test_the_report_shows_published_figures(
    backbone: Path, cached: None, tmp_path: Path, capsys: Any
) -> None:
    systems: dict[str, Any] = {
        "compm": {"preset": "compm-frozen"},
        "rgat": {"preset": "rgat"},
        "gru": {"preset": "emonet-fast"},
    }
    training = {"training": {"num_train_epochs": 1}}
    study = {
        **tiny_study(backbone),
        "seeds": [1],
        "reference": "compm",
        "defaults": training,
        "rows": systems,
        "pairs": [],
    }
    folder = tmp_path / "own"
    folder.mkdir()
    file = tmp_path / "study.json"
    file.write_text(json.dumps(study))
    arguments = ["benchmark", "--study", str(file), "--output-dir", str(folder)]
    assert main(arguments) == 0
    file.write_text(json.dumps({**study, "datasets": [*study["datasets"], {"name": "meld"}]}))
    assert main([*arguments, "--report-only"]) == 0
    assert "**Missing:** no finished cell of meld." in (folder / "report.md").read_text()
    file.write_text(json.dumps(study))
    assert "The systems and their papers" not in (folder / "report.md").read_text(), (
        "no published figures for the sample corpus"
    )
    unpack_study(folder)
    for name in folder.rglob("*.json"):  # as if it had been MELD
        name.write_text(name.read_text().replace('"sample-', '"meld-'))
    assert main([*arguments, "--report-only"]) == 0
    report = (folder / "report.md").read_text()
    assert "The systems and their papers" in report
    lines = {
        line.split("|")[1].strip(): line
        for line in report.splitlines()
        if "| yes |" in line or "| no |" in line
    }
    assert lines.keys() == systems.keys()
    assert "| yes |" in lines["rgat"] and "60.91" in lines["rgat"] and "BERT-base" in lines["rgat"]
    assert "66.52" in lines["compm"] and "validation" in lines["compm"] and "| no |" in lines["compm"]
    table = json.loads((folder / "table.json").read_text())["datasets"][0]["rows"]
    rgat = next(row for row in table if row["row"] == "rgat")
    assert rgat["sees_future"] and rgat["trained_parameters"] > 0 and rgat["training_turns_per_second"] > 0
    assert rgat["published"]["weighted_f1"] == "60.91"
    assert "| weighted F1 |" in report and "micro F1 without neutral" not in report
    for name in folder.rglob("*.json"):  # as if it had been DailyDialog
        name.write_text(re.sub('"meld-[^"]*"', '"dailydialog-1.0.0"', name.read_text()))
    assert main([*arguments, "--report-only"]) == 0
    report = (folder / "report.md").read_text()
    assert "| micro F1 without neutral |" in report and "in points of micro F1 without neutral" in report
    table = json.loads((folder / "table.json").read_text())["datasets"][0]["rows"]
    low, high = table[0]["interval"]
    assert low <= table[0]["micro_f1_no_neutral"]["mean"] <= high
    assert f"| {100 * table[0]['micro_f1_no_neutral']['mean']:.2f}" in report


def test_published_figures_depend_on_system_and_corpus() -> None:
    full = published("compm-frozen", "emorynlp-full-1.0.0")
    assert (
        full == published("compm", "emorynlp-aligned-1.0.0") and full is not None and full.test_set == "full"
    )
    assert (
        published("rgat-finetuned", "meld-1.0.0")
        == published("rgat", "meld-1.0.0")
        != published("rgat", "emorynlp-full-1.0.0")
    )
    assert published("emonet-fast", "meld-1.0.0") is None and published("rgat", "own-abc") is None


@pytest.mark.parametrize("name", ["benchmark_cached", "benchmark_speakers", "benchmark_finetuned"])
def test_the_benchmarks_hold_every_system(name: str) -> None:
    study = read_study(name)
    presets = {row.preset.removesuffix("-finetuned") for row in study.rows.values()}
    assert presets >= {
        "ket",
        "dialoguegcn",
        "rgat",
        "dialogxl",
        "hitrans",
        "tucore-gcn",
        "s-page",
        "dag-erc",
        "spcl",
    }
    assert len(study.seeds) == 5
