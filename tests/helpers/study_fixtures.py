"""One finished study for all tests of the reports, and copies of it to change."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_trainings import FakeModels
from tiny_study import run_study, tiny_study

from emonet.studies import training
from emonet.studies.packing import unpack_study


@pytest.fixture(scope="session")
def study(backbone: Path) -> dict[str, Any]:
    return tiny_study(backbone)


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cached(feature_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The cache of features is a folder of the tests."""
    monkeypatch.setenv("EMONET_CACHE", str(feature_cache))
    yield


@pytest.fixture(scope="session")
def finished(study: dict[str, Any], feature_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's results folder, packed; not to be changed."""
    folder = tmp_path_factory.mktemp("study") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMONET_CACHE", str(feature_cache))
        run_study(study, folder)
    return folder


@pytest.fixture
def results(finished: Path, cached: None, tmp_path: Path) -> Path:
    """A copy of the finished study with a folder a cell, to change."""
    folder = Path(shutil.copytree(finished, tmp_path / "results"))
    unpack_study(folder)
    return folder


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, cached: None) -> Iterator[FakeModels]:
    models = FakeModels()
    monkeypatch.setattr(training, "train_run", models.train)
    monkeypatch.setattr(training, "evaluate_run", models.evaluate)
    monkeypatch.setattr(training.Task, "is_frozen", False)
    yield models
