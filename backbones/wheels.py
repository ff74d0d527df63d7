"""Download wheels as data archives with `pip download`."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path


def download_wheel_of(requirement: str, folder: Path) -> Path:
    """Download the wheel of `project==version` without its dependencies.

    pip's own configuration chooses the package index.

    Raises:
        OSError: with pip's reason, where no wheel was downloaded.
    """
    options = ["--quiet", "--no-deps", "--dest", str(folder)]
    command = [*_pip(), "download", *options, requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise OSError((result.stderr.strip().splitlines() or ["pip downloaded no wheel"])[-1])
    return wheels[0]


def _pip() -> list[str]:
    """The command of pip, which an environment of `uv venv` lacks."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise OSError("this environment has no pip; python -m ensurepip installs it")
