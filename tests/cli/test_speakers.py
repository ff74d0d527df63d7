"""`emonet speakers`: its actions on the embedded corpus, and errors in one line."""

from pathlib import Path
from typing import Any

import pytest

from emonet.cli.main import main


@pytest.fixture(scope="module")
def store(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("speakers") / "store"
    options = ["--store", str(folder), "--dataset", "sample", "--embedder", str(backbone)]
    assert main(["speakers", "build", *options]) == 0
    return str(folder)


def test_show_and_query(store: str, backbone: Path, capsys: Any) -> None:
    assert main(["speakers", "show", "--store", store]) == 0
    listed = capsys.readouterr().out
    assert "Maya Okafor" in listed and "sample-" in listed
    assert main(["speakers", "show", "--store", store, "Maya Okafor", "--limit", "2"]) == 0
    assert "training labels: " in capsys.readouterr().out
    options = ["--store", store, "--embedder", str(backbone), "--limit", "3"]
    query = ["speakers", "query", *options, "Maya Okafor", "what was that"]
    assert main(query) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and sorted(lines, reverse=True) == lines
    assert main([*query, "--split", "train", "--before", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_forget_export_and_import(store: str, tmp_path: Path, capsys: Any) -> None:
    copy = str(tmp_path / "copy")
    assert main(["speakers", "export", "--store", store, str(tmp_path / "parquet")]) == 0
    assert main(["speakers", "import", "--store", copy, str(tmp_path / "parquet")]) == 0
    assert main(["speakers", "forget", "--store", copy, "Maya Okafor"]) == 0
    assert "forgotten" in capsys.readouterr().out
    assert main(["speakers", "show", "--store", copy, "Maya Okafor"]) == 2
    assert "no speaker 'Maya Okafor'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--store", "{tmp}"], "no speaker store; make it"),
        (["forget", "--store", "{tmp}", "Ann"], "no speaker store"),
        (["build", "--store", "{tmp}", "--dataset", "nowhere"], "is neither a corpus"),
        (["import", "--store", "{tmp}", "{tmp}"], "lacks store.json"),
    ],
)
def test_errors_in_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: Any) -> None:
    assert main(["speakers", *(part.replace("{tmp}", str(tmp_path)) for part in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("emonet: ") and len(error.splitlines()) == 1
