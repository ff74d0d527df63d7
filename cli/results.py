"""The `emonet results` commands: pack or unpack a study's results."""

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Add `results pack` and `results unpack`."""
    results = commands.add_parser(
        "results", help="pack a study's results into two Parquet files, or unpack them"
    )
    actions = results.add_subparsers(dest="action", required=True)
    pack = actions.add_parser(
        "pack",
        help="pack cell folders, as version 0.1 wrote them, into cells.parquet and predictions.parquet",
    )
    pack.add_argument(
        "--shared-with",
        action="append",
        default=[],
        type=Path,
        metavar="OTHER",
        help="packed results folder; predictions that are equal to its own are not stored again",
    )
    unpack = actions.add_parser(
        "unpack", help="write a folder for each cell with run.json, figures and predictions"
    )
    for action, run in ((pack, _pack), (unpack, _unpack)):
        action.add_argument("folder", type=Path, metavar="FOLDER", help="a study's results folder")
        action.set_defaults(run=run)


def _pack(arguments: argparse.Namespace) -> None:
    from ..studies.packing import pack_study

    count = pack_study(arguments.folder, arguments.shared_with)
    print(f"{arguments.folder}: {count} cells packed")


def _unpack(arguments: argparse.Namespace) -> None:
    from ..studies.packing import unpack_study

    print(f"{arguments.folder}: {unpack_study(arguments.folder)} cells unpacked")
