"""transformers' own tests pass over EmoNets; the page names all that do not apply."""

import subprocess
import sys
from pathlib import Path

import pytest
from transformers_suite import SKIPS

PAGE = Path(__file__).parents[2] / "docs" / "transformers_tests.md"


def test_page_lists_every_skip_and_no_failure() -> None:
    page = PAGE.read_text("utf-8")
    assert all(reason in page for reason in SKIPS.values())
    rows = [line.split("|") for line in page.splitlines() if "Test |" in line]
    assert len(rows) == 6 and all(int(row[2]) > 50 and int(row[3]) == 0 for row in rows)


@pytest.mark.slow
def test_the_tests_of_transformers_pass() -> None:
    pytest.importorskip("parameterized", reason="transformers' tests need it: pip install parameterized")
    file = Path(__file__).with_name("emonet_cases.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", str(file)]
    options = ["-o", "addopts=--import-mode=importlib"]
    done = subprocess.run([*command, *options], cwd=PAGE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
