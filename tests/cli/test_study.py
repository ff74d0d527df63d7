"""Renamed commands still work under their old names, with a hint."""

import json
from pathlib import Path

import pytest

from emonet.cli.main import main


@pytest.mark.parametrize(
    ("old", "new"),
    [(["ablate"], "emonet study"), (["benchmark", "--study"], "emonet study"), (["bench"], "emonet speed")],
)
def test_old_names_work_and_name_the_new_ones(
    old: list[str], new: str, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.json"
    rows = {"context": {"preset": "emonet-fast"}}
    study.write_text(
        json.dumps(
            {
                "name": "tiny",
                "datasets": [{"name": "sample"}],
                "backbone": str(backbone),
                "seeds": [1],
                "reference": "context",
                "rows": rows,
            }
        )
    )
    rest = ["--only", "no such case"] if old == ["bench"] else [str(study), "--report-only"]
    main([*old, *rest, "--output-dir", str(tmp_path / "results")])
    assert new in capsys.readouterr().err
