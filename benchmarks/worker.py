"""Run one case and print its figures as JSON: `worker CASE FOLDER BACKBONE`."""

import json
import resource
import sys
from pathlib import Path

from .cases import CASES
from .language_cases import LANGUAGE_CASES


def main(case: str, folder: str, backbone: str) -> None:
    """Run a case, and print its figures with the peak memory of this process."""
    before = _peak_mb()
    figures = {**CASES, **LANGUAGE_CASES}[case](Path(folder), backbone)
    figures.update(peak_mb=_peak_mb(), peak_mb_after_imports=before)
    print(json.dumps(figures))


def _peak_mb() -> float:
    """Peak resident memory of this process so far, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
