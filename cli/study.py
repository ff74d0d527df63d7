"""The `emonet study` command and its former names."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from ..studies import DEFINITIONS
from .arguments import add_dtype_argument, integer


def add_commands(commands: Any) -> None:
    """Add `study`, and the former `ablate` and `benchmark`, hidden from the help."""
    study = commands.add_parser("study", help="run a study: rows × seeds × datasets, and its report")
    shipped = ", ".join(sorted(path.stem for path in DEFINITIONS.glob("*.json")))
    study.add_argument("study", help=f"a JSON file, or a study of the package: {shipped}")
    _add_arguments(study, "")

    ablate = commands.add_parser("ablate")
    ablate.add_argument("study")
    _add_arguments(ablate, "ablate STUDY")
    benchmark = commands.add_parser("benchmark")
    benchmark.add_argument("--study", default="benchmark_cached")
    _add_arguments(benchmark, "benchmark --study STUDY")


def _add_arguments(command: argparse.ArgumentParser, old_name: str) -> None:
    command.add_argument(
        "--output-dir", required=True, type=Path, help="results folder; finished cells in it are kept"
    )
    command.add_argument("--backbone", help="run it on another backbone than the study's")
    command.add_argument(
        "--protocol",
        choices=("public", "episodes"),
        help="what is scored: the public test set, or also every turn by folds of whole episodes (default: "
        "as the study says, else public)",
    )
    command.add_argument(
        "--folds",
        type=integer(2),
        help="number of folds of --protocol episodes (default: as the study says, else 5)",
    )
    command.add_argument("--jobs", type=integer(1), default=1, help="number of processes (default: 1)")
    add_dtype_argument(command, "; a study that was begun goes on in the dtype of its cells")
    cell = "a cell, or several by a pattern: emorynlp/context/seed-1, emorynlp/context, */seed-1"
    command.add_argument(
        "--only", action="append", default=[], metavar="CELL", help=f"run these cells only; {cell}"
    )
    command.add_argument(
        "--fresh", action="append", default=[], metavar="CELL", help="delete and run again; as for --only"
    )
    command.add_argument(
        "--report-only", action="store_true", help="only write the report of the finished cells"
    )
    command.set_defaults(run=_study, old_name=old_name)


def _study(arguments: argparse.Namespace) -> None:
    from ..studies.study import read_study

    if arguments.old_name:
        print(
            f"emonet {arguments.old_name} is now emonet study STUDY; the old name will be removed.",
            file=sys.stderr,
        )
    study = read_study(arguments.study).by_protocol(arguments.protocol, arguments.folds)
    study = study.on_backbone(arguments.backbone)
    failures: dict[str, str] = {}
    if not arguments.report_only:
        from ..studies.runner import run_study

        failures = run_study(
            study,
            arguments.output_dir,
            jobs=arguments.jobs,
            only=arguments.only,
            fresh=arguments.fresh,
            dtype=arguments.dtype,
            progress=sys.stderr.isatty(),
        )
    if failures and len(failures) == len(study.cells()):
        raise EmoNetError(
            f"Every cell failed; the first, {next(iter(failures))}: {next(iter(failures.values()))}"
        )
    from ..studies.cells import cell_paths
    from ..studies.packing import packing_hint
    from ..studies.report import write_study_report

    write_study_report(study, arguments.output_dir)
    finished = len({cell.path for cell in study.cells()} & set(cell_paths(arguments.output_dir)))
    if hint := packing_hint(arguments.output_dir):
        print(hint, file=sys.stderr)
    print(f"{arguments.output_dir / 'report.md'}: {finished} of {len(study.cells())} cells")
    if failures:
        listed = "; ".join(f"{path}: {reason}" for path, reason in failures.items())
        raise EmoNetError(f"{len(failures)} cells failed; run the same command to try again. {listed}")
