"""The `emonet speed` command and its former name."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import EmoNetError


def add_commands(commands: Any) -> None:
    """Add `speed`, and the former `bench`, hidden from the help."""
    speed = commands.add_parser(
        "speed", help="measure speed and memory against the published loop and the bare backbone"
    )
    _add_arguments(speed, "")
    _add_arguments(commands.add_parser("bench"), "bench")


def _add_arguments(command: argparse.ArgumentParser, old_name: str) -> None:
    command.add_argument("--dataset", default="sample", help="as in `emonet train`")
    command.add_argument("--data-dir")
    command.add_argument(
        "--backbone", default="minilm", help="an encoder: Hub id, folder or minilm; a decoder for lm_*"
    )
    command.add_argument(
        "--dialogues", default=16, type=int, help="number of training dialogues, of all lengths"
    )
    command.add_argument(
        "--rounds", default=3, type=int, help="how often each case runs; medians are reported"
    )
    command.add_argument(
        "--only",
        nargs="*",
        metavar="CASE",
        help="run these cases only; lm_packed, lm_prompted and lm_prompt_packing run only if named",
    )
    command.add_argument("--output-dir", type=Path, default=Path("emonet-speed"))
    command.set_defaults(run=_speed, old_name=old_name)


def _speed(arguments: argparse.Namespace) -> None:
    try:
        from ..benchmarks.run import run_benchmarks
    except ModuleNotFoundError as error:
        raise EmoNetError(
            "The benchmarks are not part of the wheel: run `emonet speed` in a checkout of the repository "
            "(pip install -c constraints.txt -e .)."
        ) from error
    if arguments.old_name:
        print("emonet bench is now emonet speed; the old name will be removed.", file=sys.stderr)
    print(
        run_benchmarks(
            arguments.output_dir,
            dataset=arguments.dataset,
            data_dir=arguments.data_dir,
            backbone=arguments.backbone,
            dialogues=arguments.dialogues,
            rounds=arguments.rounds,
            only=arguments.only,
        )
    )
