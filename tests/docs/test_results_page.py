"""Check that the page of results says what `results/` says."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = runpy.run_path(str(ROOT / "docs" / "results_page.py"))
PAGE = (ROOT / "docs" / "results.md").read_text("utf-8")
SECTIONS = [section for section in re.split(r"^(?=## )", PAGE, flags=re.MULTILINE) if "±" in section]


def numbers(value: Any) -> Iterator[str]:
    """All fractions of a JSON document, as points without a sign."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield f"{abs(100 * value):.2f}"


def test_tables_are_those_of_the_results() -> None:
    assert COMMAND["main"](["--check"]) is None


def test_a_changed_table_is_found(tmp_path: Path) -> None:
    table = COMMAND["markdown"](COMMAND["TABLES"]["meld"]())
    changed = f"<!-- table: meld -->\n\n{table.replace('0', '1')}\ntext\n"
    assert COMMAND["rebuilt"](changed) == f"<!-- table: meld -->\n\n{table}\ntext\n"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_numbers_in_the_text_are_in_the_results(section: str) -> None:
    """A section names its files: `<!-- numbers: emorynlp-hunt/table.json; 39.18 -->`."""
    sources = " ".join(re.findall("<!-- numbers: (.*?) -->", section))
    files = re.findall(r"[\w/-]+\.json", sources)
    known = set(re.findall(r"\d+\.\d\d", sources))
    known |= {
        number for file in files for number in numbers(json.loads((ROOT / "results" / file).read_text()))
    }
    text = "\n".join(line for line in section.splitlines() if not line.startswith("|"))
    found = re.findall(r"(?<![\d.])(?<!< )\d+\.\d\d(?![\d.])", text)
    assert set(found) <= known
