"""Check the README's length, its links, and that CI runs its first two commands."""

import re
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
