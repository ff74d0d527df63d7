"""The `emonet ceiling` command."""

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Add `ceiling`."""
    ceiling = commands.add_parser(
        "ceiling", help="what a speaker, a scene or an episode can tell about an emotion, at most"
    )
    ceiling.add_argument(
        "row",
        metavar="RESULTS/DATASET/ROW",
        type=Path,
        help="a row whose episode folds keep probabilities: results/emorynlp-episodes/emorynlp/emonet",
    )
    ceiling.add_argument(
        "--output-dir", required=True, type=Path, help="folder for ceiling.json, ceiling.md and ceiling.png"
    )
    ceiling.set_defaults(run=_ceiling)


def _ceiling(arguments: argparse.Namespace) -> None:
    from ..studies.ceiling import measure_ceiling, write_ceiling

    file = write_ceiling(measure_ceiling(arguments.row), arguments.output_dir)
    print(file.read_text("utf-8"))
