"""A run folder with all its files."""

from pathlib import Path

import pytest
from run_folder import fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "run")
