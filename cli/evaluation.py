"""The `emonet` commands that compare systems and run studies."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from ..studies import DEFINITIONS
from .arguments import integer


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `compare`, `ablate` and `benchmark`."""
    compare = commands.add_parser(
        "compare", help="is run B better than run A? difference, interval, p, and what changed"
    )
    either = "prediction file, run folder, folder of seeds, glob, or several with commas; several are paired by seed"
    compare.add_argument("first", metavar="RUN_A", help=either)
    compare.add_argument("second", metavar="RUN_B", help="the same")
    compare.add_argument(
        "--split", choices=("test", "validation"), default="test", help="which predictions of a run folder"
    )
    compare.add_argument("--metric", choices=("weighted_f1", "macro_f1", "accuracy"), default="weighted_f1")
    compare.add_argument("--resamples", type=integer(1), default=10_000)
    compare.add_argument(
        "--limit", type=integer(0), default=10, help="how many fixed and broken turns to list (default: 10)"
    )
    compare.add_argument(
        "--changes", type=Path, metavar="FILE", help="write all changed turns there as JSON lines"
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    compare.add_argument(
        "--dataset", help="corpus with the text of the turns, where the predictions hold none"
    )
    compare.add_argument(
        "--data-dir", help="folder with the corpus's files (default: $EMONET_DATA, then the public home)"
    )
    compare.set_defaults(run=_compare)

    ablate = commands.add_parser("ablate", help="run a study: rows × seeds × datasets, and its report")
    shipped = ", ".join(sorted(path.stem for path in DEFINITIONS.glob("*.json")))
    ablate.add_argument("study", help=f"a JSON file, or a study of the package: {shipped}")
    _study_arguments(ablate)
    benchmark = commands.add_parser(
        "benchmark", help="the systems of the field on the same data, backbone and protocol, in one table"
    )
    benchmark.add_argument(
        "--study",
        default="benchmark_cached",
        help="benchmark_speakers, benchmark_finetuned, or a study file (default: benchmark_cached)",
    )
    _study_arguments(benchmark)
    study = commands.add_parser(
        "study", help="pack a study's results into two Parquet files, or take them out again"
    )
    actions = study.add_subparsers(dest="action", required=True)
    for name, help_text in (
        ("pack", "folders of cells, as version 0.1 left them, become cells.parquet and predictions.parquet"),
        ("unpack", "the reverse: a folder a cell, with run.json, figures and predictions"),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("folder", type=Path, metavar="FOLDER", help="a study's results folder")
        if name == "pack":
            same = "packed results folder; predictions that are equal to its own are not stored again"
            action.add_argument(
                "--shared-with", action="append", default=[], type=Path, metavar="OTHER", help=same
            )
        action.set_defaults(run=_pack, action=name)


def _study_arguments(command: argparse.ArgumentParser) -> None:
    """What both commands that run a study take."""
    command.add_argument(
        "--output-dir", required=True, type=Path, help="results folder; finished cells in it are kept"
    )
    command.add_argument("--jobs", type=integer(1), default=1, help="processes at a time (default: 1)")
    cell = "a cell, or several by a pattern: emorynlp/context/seed-1, emorynlp/context, */seed-1"
    command.add_argument("--only", action="append", default=[], metavar="CELL", help=f"run no others; {cell}")
    command.add_argument(
        "--fresh", action="append", default=[], metavar="CELL", help="delete and run anew, in the same words"
    )
    command.add_argument(
        "--report-only", action="store_true", help="run nothing, write the report of the finished cells"
    )
    command.set_defaults(run=_ablate)


def _compare(arguments: argparse.Namespace) -> None:
    import dataclasses
    import json

    from ..evaluation.compare import compare_runs, comparison_text, with_texts
    from ..evaluation.report import write_predictions
    from ..evaluation.scored_runs import find_runs, study_roots
    from ..studies.packing import packing_hint

    first, second = (find_runs(name, arguments.split) for name in (arguments.first, arguments.second))
    _hint(next(filter(None, (packing_hint(root) for root in study_roots([*first, *second]))), None))
    result = compare_runs(first, second, arguments.metric, arguments.resamples)
    if arguments.dataset:
        result = with_texts(result, _texts(arguments.dataset, arguments.data_dir, arguments.split))
    print(comparison_text(result, (arguments.first, arguments.second), arguments.limit))
    if arguments.changes:
        write_predictions(arguments.changes, map(dataclasses.asdict, result.changes))
    if arguments.json:
        figures = {name: value for name, value in dataclasses.asdict(result).items() if name != "changes"}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps({"a": arguments.first, "b": arguments.second, **figures}, indent=2) + "\n", "utf-8"
        )


def _ablate(arguments: argparse.Namespace) -> None:
    from ..studies.study import read_study

    study = read_study(arguments.study)
    failures: dict[str, str] = {}
    if not arguments.report_only:
        from ..studies.runner import run_study

        failures = run_study(
            study,
            arguments.output_dir,
            jobs=arguments.jobs,
            only=arguments.only,
            fresh=arguments.fresh,
            progress=sys.stderr.isatty(),
        )
    if failures and len(failures) == len(study.cells()):
        raise EmoNetError(
            f"Every cell failed; the first, {next(iter(failures))}: {next(iter(failures.values()))}"
        )
    from ..studies.packing import packing_hint
    from ..studies.report import write_study_report

    tables = write_study_report(study, arguments.output_dir)
    finished = sum(len(row.cells) for table in tables for row in table.rows.values())
    _hint(packing_hint(arguments.output_dir))
    print(f"{arguments.output_dir / 'report.md'}: {finished} of {len(study.cells())} cells")
    if failures:
        listed = "; ".join(f"{path}: {reason}" for path, reason in failures.items())
        raise EmoNetError(f"{len(failures)} cells failed, the same command tries them again. {listed}")


def _pack(arguments: argparse.Namespace) -> None:
    from ..studies.packing import pack_study, unpack_study

    packing = arguments.action == "pack"
    count = pack_study(arguments.folder, arguments.shared_with) if packing else unpack_study(arguments.folder)
    print(f"{arguments.folder}: {count} cells {arguments.action}ed")


def _hint(hint: str | None) -> None:
    if hint:
        print(hint, file=sys.stderr)


def _texts(dataset: str, data_dir: str | None, split: str) -> dict[tuple[str, int], str]:
    from ..data import load_conversations

    rows: Any = load_conversations(dataset, data_dir, view="utterances", history_scope="none")[split]
    return {
        (row["dialogue_id"], row["turn"]): row["text"]
        for row in rows.select_columns(["dialogue_id", "turn", "text"])
    }
