"""Study files: what they declare, and the errors before any training starts."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from emonet.errors import EmoNetError
from emonet.studies import DEFINITIONS
from emonet.studies.study import read_study, slug
from emonet.training.presets import PRESETS, preset_config

STUDY: dict[str, Any] = {
    "name": "small",
    "datasets": [{"name": "sample", "data_dir": None}, {"name": "meld"}],
    "backbone": "minilm",
    "seeds": [1, 2],
    "reference": "context",
    "defaults": {
        "preset": "emonet-fast",
        "config": {"speaker_identity": "none", "memory_window": 10},
        "training": {"weight_decay": 0.1},
    },
    "rows": {
        "context": {},
        "K = 5, weighted": {"config": {"memory_window": 5}, "training": {"class_weighting": "inverse"}},
        "fine-tuned": {"preset": "context"},
    },
}


def write(tmp_path: Path, study: dict[str, Any]) -> Path:
    (tmp_path / "study.json").write_text(json.dumps(study))
    return tmp_path / "study.json"


def changed(**changes: Any) -> dict[str, Any]:
    """The study with changed values; `rows__context__preset` is a path."""
    study = copy.deepcopy(STUDY)
    for path, value in changes.items():
        target, *parts = study, *path.split("__")
        for part in parts[:-1]:
            target = target[part]
        target[parts[-1]] = value
    return study


def test_rows_merge_the_defaults(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, STUDY))
    row = study.rows["K = 5, weighted"]
    assert row.preset == "emonet-fast"
    assert row.config == {"speaker_identity": "none", "memory_window": 5}
    assert row.training == {"weight_decay": 0.1, "class_weighting": "inverse"}
    assert study.rows["fine-tuned"].preset == "context" and study.datasets == {"sample": None, "meld": None}


def test_a_study_runs_on_another_backbone(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, STUDY))
    assert study.on_backbone(None) is study
    assert {cell.backbone for cell in study.on_backbone("smollm2").cells()} == {"smollm2"}


def test_cells_are_ordered_by_seed(tmp_path: Path) -> None:
    cells = read_study(write(tmp_path, STUDY)).cells()
    assert len(cells) == 2 * 2 * 3 and [cell.seed for cell in cells] == [1] * 6 + [2] * 6
    assert cells[4].path == "meld/k-5-weighted/seed-1"


def test_folds_can_have_fewer_seeds(tmp_path: Path) -> None:
    by_folds = changed(protocol="episodes", folds=3, fold_seeds=[2], datasets=[{"name": "meld"}])
    cells = read_study(write(tmp_path, by_folds)).cells()
    assert [(cell.seed, cell.fold is not None) for cell in cells[:3]] == [(1, False)] * 3
    assert len(cells) == 3 + 3 * 4


def test_slugs_are_folders() -> None:
    names = ("+ K = 5 (CoMPM)", "emorynlp-aligned", "../a b/.c", "Ünïcode!")
    assert [slug(name) for name in names] == ["k-5-compm", "emorynlp-aligned", "a-b-.c", "n-code"]


@pytest.mark.parametrize("file", sorted(DEFINITIONS.glob("*.json")), ids=lambda file: file.stem)
def test_shipped_studies_are_known_by_name(file: Path) -> None:
    study = read_study(file.stem)
    rows = study.rows.values()
    frozen = all(
        row.preset in PRESETS and preset_config(row.preset, False, 6).get("freeze_backbone") for row in rows
    )
    assert (
        study == read_study(file)
        and len(study.seeds) >= (5 if frozen else 3)
        and study.reference in study.rows
    )
    assert frozen or "finetuned" in file.stem or "_lm" in file.stem, "the regime is in the study's name"


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            changed(sedes=[1]),
            "the study: unknown key 'sedes' .did you mean 'seeds'.*; allowed are name, datasets, backbone",
        ),
        (
            {key: value for key, value in STUDY.items() if key != "seeds"},
            "the study: seeds is missing; required are name, datasets",
        ),
        (changed(seeds=[1, 1]), "the study, seeds=.1, 1. must be different whole numbers"),
        (changed(seeds=[-1]), "the study, seeds=.-1. must be different whole numbers from 0"),
        (changed(seeds=[]), "the study, seeds=.. must be .* at least one"),
        (changed(fold_seeds=[2, 7]), "fold_seeds: 7 is not among the seeds"),
        (changed(seeds=[True]), "the study, seeds=.True. must be list.int."),
        (changed(reference="contxt"), "reference: no row 'contxt'; the rows are context, K = 5"),
        (changed(pairs=[["context", "none"]]), "pairs: no row 'none'; the rows are"),
        (changed(pairs=[["context"]]), "pairs: .* is not a pair"),
        (changed(pairs="context"), "the study, pairs='context' must be list.list.str.."),
        (changed(rows={}), "the study: rows or factors is missing"),
        (changed(rows=["context"]), "the study, rows=.* must be dict"),
        (changed(rows__context=[]), "rows, 'context': .. is not an object"),
        (changed(pairs=[[["context"], "fine-tuned"]]), "the study, pairs=.* must be list.list.str.."),
        (changed(note=5), "the study, note=5 must be str"),
        (changed(name=" + "), "name: ' . ' has neither a letter nor a digit"),
        (changed(rows__Context={}), "rows: 'context' and 'Context' would share the folder 'context'"),
        (
            changed(rows__context__sede=1),
            "rows, 'context': unknown key 'sede'; allowed are preset, config, training",
        ),
        (
            changed(rows__context__preset="emonet-quick"),
            "rows, 'context', preset='emonet-quick' must be one of context, ",
        ),
        (changed(defaults={}), "rows, 'context': no preset, neither here nor in defaults; the presets are"),
        (changed(defaults__preset="no"), "defaults, preset='no' must be one of"),
        (
            changed(rows__context={"config": {"memory_windw": 5}}),
            "rows, 'context', config: unknown key 'memory_windw' .did you mean 'memory_window'",
        ),
        (
            changed(rows__context={"config": {"num_speakers": 5}}),
            "rows, 'context', config: unknown key 'num_speakers'",
        ),
        (
            changed(rows__context={"config": {"speaker_memory": "all"}}),
            "rows, 'context', config, speaker_memory='all' is not one of none, dialogue, corpus",
        ),
        (
            changed(rows__context={"config": {"memory_window": "5"}}),
            "rows, 'context', config, memory_window='5' must be int",
        ),
        (
            changed(rows__context={"config": {"context_module": "lstm"}}),
            "rows, 'context', config, context_module='lstm' is not one of none, ",
        ),
        (
            changed(defaults__training={"epochs": 5}),
            "defaults, training: unknown key 'epochs'.*num_train_epochs",
        ),
        (changed(defaults__training={"seed": 5}), "defaults, training: unknown key 'seed'"),
        (
            changed(defaults__training={"class_weighting": "yes"}),
            "defaults, training, class_weighting='yes' is not one of none, inverse",
        ),
        (changed(datasets=["sample"]), "datasets, entry 1: 'sample' is not an object"),
        (
            changed(datasets=[{"name": "emory"}]),
            "datasets, entry 1, name: 'emory' is neither a corpus .emorynlp, ",
        ),
        (
            changed(datasets=[{"name": "meld"}, {"name": "meld"}]),
            "datasets, entry 2, name: 'meld' is there twice",
        ),
        (changed(datasets=[{"nam": "meld"}]), "datasets, entry 1: unknown key 'nam'"),
        (changed(datasets=[{}]), "datasets, entry 1: name is missing"),
        (changed(datasets=[{"name": "meld", "data_dir": 5}]), "datasets, entry 1, data_dir=5 must be str"),
    ],
)
def test_wrong_keys_and_values_are_refused(tmp_path: Path, study: dict[str, Any], message: str) -> None:
    with pytest.raises(EmoNetError, match=rf"study.json, {message}"):
        read_study(write(tmp_path, study))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        EmoNetError, match=r"neither a study file nor a study of the package .*emorynlp_cached, "
    ):
        read_study(tmp_path / "no.json")
    for raw, message in (
        ("{", "line 1 column 2"),
        ("[]", "the study: .* is not an object"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
    ):
        (tmp_path / "study.json").write_text(raw)
        with pytest.raises(EmoNetError, match=message):
            read_study(tmp_path / "study.json")
