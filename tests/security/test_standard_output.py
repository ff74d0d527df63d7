"""Printing never ends in a traceback, in any locale and with a closed pipe."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import build

SCRIPT = "Zoë: great 我 😀\nБоб: no\n"
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(folder)
    return folder


def emonet(*words: str, stdout: int = subprocess.PIPE, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "emonet.cli.main", *words],
        input=SCRIPT.encode(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "environment", [ASCII, pytest.param({"PYTHONIOENCODING": "latin-1"}, marks=pytest.mark.slow)], ids=str
)
def test_predictions_are_complete_in_any_locale(environment: dict[str, str], checkpoint: Path) -> None:
    done = emonet("predict", "--model", str(checkpoint), **environment)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    rows = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert [(row["speaker"], row["text"]) for row in rows] == [("Zoë", "great 我 😀"), ("Боб", "no")]


def test_other_output_is_escaped() -> None:
    done = emonet("env", PYTHONIOENCODING="latin-1", EMONET_CACHE="/größe/Боб")
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert "/größe/\\u0411\\u043e\\u0431" in done.stdout.decode("latin-1")


@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.slow)])
def test_a_closed_pipe_ends_it_quietly(unbuffered: str, checkpoint: Path) -> None:
    words = ["predict", "--model", str(checkpoint)] if unbuffered else ["presets"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = emonet(*words, stdout=write, PYTHONUNBUFFERED=unbuffered)
    finally:
        os.close(write)
    # `predict` says what it read; nothing else is printed.
    told = done.stderr.splitlines()
    assert [line[:8] for line in told] == ([b"script: "] if unbuffered else []) and done.returncode == 141
