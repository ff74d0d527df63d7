"""The `emonet compare` command."""

import argparse
import sys
from pathlib import Path
from typing import Any

from .arguments import integer


def add_commands(commands: Any) -> None:
    """Add `compare`."""
    compare = commands.add_parser(
        "compare", help="compare run B with run A: difference, interval, p, and changed turns"
    )
    runs = "prediction file, run folder, folder of seeds, glob, or several with commas; paired by seed"
    compare.add_argument("first", metavar="RUN_A", help=runs)
    compare.add_argument("second", metavar="RUN_B", help="the same")
    compare.add_argument(
        "--split", choices=("test", "validation"), default="test", help="which predictions of a run folder"
    )
    compare.add_argument(
        "--metric",
        choices=("weighted_f1", "macro_f1", "micro_f1_no_neutral", "accuracy"),
        help="default: the field's metric of the corpus, for most weighted_f1",
    )
    compare.add_argument("--resamples", type=integer(1), default=10_000)
    compare.add_argument(
        "--limit", type=integer(0), default=10, help="how many fixed and broken turns to list (default: 10)"
    )
    compare.add_argument(
        "--changes", type=Path, metavar="FILE", help="write all changed turns to this JSON Lines file"
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    compare.add_argument("--dataset", help="corpus with the texts of the turns, for predictions without text")
    compare.add_argument(
        "--data-dir", help="folder with the corpus's files (default: $EMONET_DATA, else download)"
    )
    compare.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    import dataclasses
    import json

    from ..data.loading import primary_metric
    from ..evaluation.compare import compare_runs, comparison_text, with_texts
    from ..evaluation.report import write_predictions
    from ..evaluation.scored_runs import find_runs, study_roots
    from ..studies.packing import packing_hint

    first, second = (find_runs(name, arguments.split) for name in (arguments.first, arguments.second))
    for hint in filter(None, map(packing_hint, study_roots([*first, *second]))):
        print(hint, file=sys.stderr)
        break
    version = next((run.dataset_version for run in (*first, *second) if run.dataset_version), None)
    metric = arguments.metric or primary_metric(version)
    result = compare_runs(first, second, metric, arguments.resamples)
    if arguments.dataset:
        result = with_texts(result, _texts(arguments.dataset, arguments.data_dir))
    print(comparison_text(result, (arguments.first, arguments.second), arguments.limit))
    if arguments.changes:
        write_predictions(arguments.changes, map(dataclasses.asdict, result.changes))
    if arguments.json:
        figures = {name: value for name, value in dataclasses.asdict(result).items() if name != "changes"}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps({"a": arguments.first, "b": arguments.second, **figures}, indent=2) + "\n", "utf-8"
        )


def _texts(dataset: str, data_dir: str | None) -> dict[tuple[str, int], str]:
    """Texts by dialogue and turn, of all splits: folds of episodes test all."""
    from ..data import load_conversations

    corpus = load_conversations(dataset, data_dir, view="utterances", history_scope="none")
    return {
        (row["dialogue_id"], row["turn"]): row["text"]
        for rows in corpus.values()
        for row in rows.select_columns(["dialogue_id", "turn", "text"])
    }
