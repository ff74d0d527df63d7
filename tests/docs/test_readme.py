"""The README stays a first screen, and its commands for a fresh machine are the ones that
CI runs.
"""

from pathlib import Path

import pytest
from document_blocks import blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_it_fits_a_first_screen() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


def test_the_two_commands_come_first_and_set_everything_up() -> None:
    first = [block for block in blocks(README, ROOT) if block.section == "First minute"]
    demo, tests = (block.text for block in first)
    for command in (demo, tests):
        assert command.count("\n") == 1 and "venv" in command and "-c constraints.txt" in command
    assert "emonet demo" in demo and "pytest" in tests
    if not (ROOT / ".ci").is_dir():
        pytest.skip("a source distribution has no .ci")
    assert ".ci/readme" in (ROOT / ".ci" / "run").read_text()


def test_every_link_leads_somewhere() -> None:
    import re

    for target in re.findall(r"\]\(([^)#]+)", README.read_text("utf-8")):
        assert (ROOT / target).exists(), target
