"""The `emonet` command."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..choices import DTYPES, ENGINES
from ..version import PACKAGE_VERSION
from .arguments import integer
from .compare import add_commands as add_compare_commands
from .hub import add_commands as add_hub_commands
from .knowledge import add_commands as add_knowledge_commands
from .knowledge import add_source_arguments
from .predict import add_commands as add_engine_commands
from .results import add_commands as add_results_commands
from .serve import add_commands as add_serving_commands
from .speakers import add_commands as add_speaker_commands
from .speed import add_commands as add_speed_commands
from .standard_output import CLOSED_PIPE, can_write_anything, drop_output, is_closed
from .study import add_commands as add_study_commands
from .train_flags import add_train_flags, config_of, training_of

# Heavy modules are imported inside the commands, so that `emonet --help` answers at once.

_SEED = integer(0, 2**32 - 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status.

    Bad input ends in one line on stderr and status 2; a reader of the output that goes
    away (`| head`) ends it without a word, in the status of one that SIGPIPE ended.
    """
    can_write_anything()
    try:
        return _run(argv)
    finally:
        if is_closed():
            drop_output()


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except (ValueError, OSError) as error:
        return CLOSED_PIPE if isinstance(error, BrokenPipeError) and is_closed() else _refuse(error)
    return 0


def _refuse(error: Exception) -> int:
    """Say in one line what was wrong; names in it may hold line breaks, and a wrong value
    may be a whole document.
    """
    said = " ".join(str(error).split())
    print(f"emonet: {said if len(said) <= 2000 else said[:2000] + ' …'}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emonet", description="Emotion recognition in conversation.")
    parser.add_argument("--version", action="version", version=f"emonet {PACKAGE_VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train, evaluate and predict on the embedded corpus")
    demo.add_argument("--output-dir", default="emonet-demo", type=Path)
    demo.add_argument("--backbone", default="minilm")
    demo.add_argument("--seed", default=1, type=_SEED)
    demo.set_defaults(run=_demo)

    train = commands.add_parser("train", help="train a preset on a corpus")
    _corpus_arguments(train)
    train.add_argument("--preset", default="emonet", help="see `emonet presets`")
    train.add_argument("--backbone", default="minilm", help="Hub id, folder, minilm or smollm2")
    train.add_argument("--seed", default=1, type=_SEED)
    train.add_argument("--output-dir", required=True, type=Path)
    train.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in the output folder"
    )
    add_train_flags(train)
    add_source_arguments(train)
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="score a checkpoint on a split")
    evaluate.add_argument("--model", required=True, help="run folder or Hub id")
    _corpus_arguments(evaluate)
    evaluate.add_argument("--split", default="test")
    evaluate.add_argument(
        "--engine", choices=ENGINES, default="torch", help="onnx: MODEL is a folder of `emonet export`"
    )
    evaluate.add_argument(
        "--dtype", choices=DTYPES, help="what PyTorch computes in (default: as the weights are stored)"
    )
    evaluate.add_argument(
        "--load-in-4bit", action="store_true", help="linear layers in 4 bits, where bitsandbytes runs"
    )
    evaluate.add_argument("--store", help="speaker store with the biographies that a prompted model is told")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    evaluate.add_argument("--predictions", type=Path, metavar="FILE", help="write one JSON line a turn there")
    evaluate.set_defaults(run=_evaluate)

    add_engine_commands(commands)
    add_compare_commands(commands)
    add_study_commands(commands)
    add_results_commands(commands)
    add_hub_commands(commands)
    add_speaker_commands(commands)
    add_serving_commands(commands)
    add_speed_commands(commands)
    add_knowledge_commands(commands)

    presets = commands.add_parser(
        "presets", help="list the presets; parameters are what they add to a backbone 384 wide"
    )
    presets.set_defaults(run=_presets)

    backbone = commands.add_parser("backbone", help="the embedded backbones")
    backbone.add_argument("action", choices=("install", "list", "path"))
    backbone.add_argument("name", nargs="?")
    backbone.set_defaults(run=_backbone)

    env = commands.add_parser("env", help="versions and machine, for a bug report")
    env.set_defaults(run=_env)
    return parser


def _corpus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset", required=True, help="emorynlp, emorynlp-aligned, meld, sample, or a file or folder"
    )
    parser.add_argument(
        "--data-dir", help="folder with the corpus's files (default: $EMONET_DATA, then the public home)"
    )


def _demo(arguments: argparse.Namespace) -> None:
    from ..runs.demo import run_demo

    run_demo(arguments.output_dir, arguments.backbone, arguments.seed)


def _train(arguments: argparse.Namespace) -> None:
    from ..runs.train import train_run

    record = train_run(
        arguments.dataset,
        arguments.output_dir,
        data_dir=arguments.data_dir,
        preset=arguments.preset,
        backbone=arguments.backbone,
        seed=arguments.seed,
        config_overrides=config_of(arguments),
        training_overrides=training_of(arguments),
        knowledge=(arguments.concepts, arguments.affect),
        resume=arguments.resume,
        store=arguments.store,
        load_in_4bit=arguments.load_in_4bit,
        progress=sys.stderr.isatty(),
    )
    best = next(row for row in record["epochs"] if row["epoch"] == record["best_epoch"])
    print(
        f"{arguments.output_dir}: best epoch {best['epoch']}, validation weighted F1 {100 * best['weighted_f1']:.2f}"
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from ..evaluation.report import metrics_table
    from ..runs.evaluate import add_to_run, evaluate_run

    metrics = evaluate_run(
        arguments.model,
        arguments.dataset,
        data_dir=arguments.data_dir,
        split=arguments.split,
        predictions=arguments.predictions,
        engine=arguments.engine,
        dtype=arguments.dtype,
        store=arguments.store,
        load_in_4bit=arguments.load_in_4bit,
        progress=sys.stderr.isatty(),
    )
    as_saved = arguments.engine == "torch" and arguments.dtype is None and not arguments.load_in_4bit
    if Path(arguments.model).is_dir() and as_saved:
        add_to_run(Path(arguments.model), metrics)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
    print(metrics_table(metrics))


def _presets(arguments: argparse.Namespace) -> None:
    from ..runs.prompted.presets import PROMPTED_PRESETS
    from ..training.presets import PRESETS, added_parameters

    for preset in PRESETS.values():
        future = "sees the future" if preset.sees_future else "causal"
        size = f"{added_parameters(preset.name) / 1e6:.1f} M parameters added"
        print(f"{preset.name:22s} {preset.summary}  [{preset.paper}; {future}; {size}]")
    for name, prompted in PROMPTED_PRESETS.items():
        future = "causal" if prompted.settings.causal else "sees the future"
        if prompted.non_causal is not None:
            future += ", with --non-causal sees the future"
        print(f"{name:22s} {prompted.summary}  [{prompted.paper}; {future}; adapters alone]")


def _backbone(arguments: argparse.Namespace) -> None:
    from ..backbones.embedded import EMBEDDED_BACKBONES, install_backbone, list_backbones, resolve_backbone

    if arguments.action == "list":
        print(list_backbones())
        return
    if arguments.name not in EMBEDDED_BACKBONES:
        raise ValueError(f"name an embedded backbone: {', '.join(EMBEDDED_BACKBONES)}.")
    install = install_backbone if arguments.action == "install" else resolve_backbone
    print(install(arguments.name))


def _env(arguments: argparse.Namespace) -> None:
    import platform

    import torch

    from ..checkpoint.run_record import versions
    from ..files.cache import cache_root

    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {torch.get_num_threads()} threads"
    )
    facts = {**versions(), "platform": platform.platform(), "device": device, "cache": str(cache_root())}
    for name, value in facts.items():
        print(f"{name:13s} {value}")


if __name__ == "__main__":
    sys.exit(main())
