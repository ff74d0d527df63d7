"""`emonet evaluate`: score a checkpoint on a split of a corpus."""

import argparse
import json
import sys
from pathlib import Path

from ..constants import AUTO, ENGINES
from .arguments import (
    SEED,
    Commands,
    add_corpus_arguments,
    add_dtype_argument,
    add_model_argument,
    add_speakers_argument,
    number,
)


def add_commands(commands: Commands) -> None:
    """Add `evaluate`."""
    evaluate = commands.add_parser("evaluate", help="score a checkpoint on a split")
    add_model_argument(evaluate, required=True)
    add_corpus_arguments(evaluate)
    add_speakers_argument(evaluate, default=None)
    evaluate.add_argument("--split", default="test")
    evaluate.add_argument(
        "--engine", choices=ENGINES, default="torch", help="onnx: MODEL is a folder of `emonet export`"
    )
    add_dtype_argument(evaluate)
    evaluate.add_argument(
        "--load-in-4bit", action="store_true", help="load linear layers in 4 bits (needs bitsandbytes)"
    )
    evaluate.add_argument(
        "--known-labels",
        type=_known_labels,
        metavar="SHARE",
        help="show the gold labels of a random share of the turns to the model (0.25), and score the others; "
        "`earlier`: those of all turns before the one that is scored. Every result then says so",
    )
    evaluate.add_argument(
        "--known-seed", type=SEED, default=0, metavar="N", help="seed of the turns of --known-labels (0)"
    )
    evaluate.add_argument("--store", help="speaker store with the biographies for a prompted model")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the metrics to FILE")
    evaluate.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="write one JSON line per turn to FILE; for your own table, its rows and columns",
    )
    evaluate.set_defaults(run=_evaluate)


def _known_labels(text: str) -> float | str:
    return text if text == "earlier" else number(0, 1)(text)


def _evaluate(arguments: argparse.Namespace) -> None:
    from ..data.loading import primary_metric
    from ..evaluation.report import metrics_table
    from ..runs.evaluate import add_to_run, evaluate_run

    metrics = evaluate_run(
        arguments.model,
        arguments.dataset,
        data_dir=arguments.data_dir,
        interleaved=arguments.interleaved,
        columns=arguments.columns,
        speakers=arguments.speakers,
        split=arguments.split,
        predictions=arguments.predictions,
        known_labels=arguments.known_labels,
        known_seed=arguments.known_seed,
        engine=arguments.engine,
        dtype=arguments.dtype,
        store=arguments.store,
        load_in_4bit=arguments.load_in_4bit,
        progress=sys.stderr.isatty(),
    )
    # A run's own figures stay those of its usual precision.
    usual = arguments.dtype in (AUTO, "float32") and not arguments.load_in_4bit
    if Path(arguments.model).is_dir() and arguments.engine == "torch" and usual:
        add_to_run(Path(arguments.model), metrics)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
    if arguments.known_labels is not None:
        shown = f"{metrics['given_turns']} turns" if metrics["given_turns"] else "all earlier turns"
        print(f"{metrics['dataset_version']}: the gold labels of {shown} were known to the model")
    print(metrics_table(metrics, primary_metric(metrics["dataset_version"])))
