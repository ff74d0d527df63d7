"""Run code as for users without emonet installed: its import fails."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PRELUDE = """
import importlib.abc, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "emonet":
            raise ModuleNotFoundError("No module named 'emonet'", name="emonet")

sys.meta_path.insert(0, Blocker())
def report(value):
    print("RESULT " + json.dumps(value))
"""


def run_without_emonet(code: str, folder: Path, timeout: int = 300, **environment: str) -> Any:
    """Run `code` in `folder`, with its own caches there.

    Returns:
        The value that `code` passed to `report(...)`.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PYTHON", "EMONET"))}
    env.update(HF_HOME=str(folder / "hf"), HF_HUB_DISABLE_XET="1", OMP_NUM_THREADS="1", **environment)
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[-1].removeprefix("RESULT "))
