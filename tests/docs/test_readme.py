"""Check the README's length, links and output, and that CI runs its two commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from document_blocks import blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


def test_first_two_commands_are_self_contained() -> None:
    first = [block for block in blocks(README, ROOT) if block.section == "First minute"]
    demo, tests = (block.text for block in first)
    for command in (demo, tests):
        assert command.count("\n") == 1 and "venv" in command and "-c constraints.txt" in command
    assert "emonet demo" in demo and "pytest" in tests
    if not (ROOT / ".ci").is_dir():
        pytest.skip("a source distribution has no .ci")
    assert ".ci/readme" in (ROOT / ".ci" / "run").read_text()


def test_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README.read_text("utf-8")):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "section"), [("README.md", "Predict"), ("docs/quick_start.md", "Label a dialogue")]
)
def test_built_in_model_prints_what_is_shown(page: str, section: str, tmp_path: Path) -> None:
    shown = [block for block in blocks(ROOT / page, ROOT) if block.section == section]
    for block in shown:
        if block.mark == "file":
            (tmp_path / block.note).write_text(block.text, "utf-8")
    code = next(block for block in shown if block.language == "python")
    output = next(block for block in shown if block.language == "text" and block.line > code.line)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT.parent}:{os.environ.get('PYTHONPATH', '')}"}
    printed = subprocess.run(
        [sys.executable, "-c", code.text], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert printed.returncode == 0, printed.stderr
    labels, scores = zip(*re.findall(r"(.+: \w+) \((\d\.\d\d)\)", printed.stdout), strict=True)
    expected = re.findall(r"(.+: \w+) \((\d\.\d\d)\)", output.text)
    assert list(labels) == [label for label, _ in expected]
    assert [float(score) for score in scores] == pytest.approx(
        [float(score) for _, score in expected], abs=0.15
    )
