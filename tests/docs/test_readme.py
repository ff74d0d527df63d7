"""The README's usage runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from tiny import build

README = Path(__file__).parents[2] / "README.md"


def run(usage: str) -> Any:
    """The value of the last line of a block."""
    *lines, last = usage.strip().splitlines()
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, f"result = {last}"]), scope)
    return scope["result"]


def test_the_usage_of_the_readme_runs(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, streaming = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "RUN")
    monkeypatch.chdir(tmp_path)
    rows = run(usage)
    assert [row["speaker"] for row in rows] == ["Monica", "Ross"]
    assert all(set(row) == {"speaker", "text", "label", "score", "scores"} for row in rows)
    assert run(streaming) == rows[0]["label"]
