"""`emonet predict` gives the turns of real transcripts, and says what it read."""

import json
import re
from pathlib import Path

import pytest
from tiny_serving import save_tiny_model
from transcript_cases import TRANSCRIPTS, TranscriptCase

from emonet.cli.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("case", TRANSCRIPTS, ids=lambda case: case.name)
def test_through_cli(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: TranscriptCase
) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.content.encode())
    main(["predict", str(path), "--model", str(checkpoint)])
    output, errors = capsys.readouterr()
    # Columns come back under the names that the input gives them.
    rows = [{key.lower(): value for key, value in json.loads(line).items()} for line in output.splitlines()]
    assert [(row["speaker"], " ".join(row["text"].split())) for row in rows] == case.turns
    counted = f"{len(case.turns)} turns, {len({speaker for speaker, _ in case.turns})} speakers?"
    assert re.search(counted, errors), errors
