"""`emonet bench`."""

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    bench = commands.add_parser(
        "bench", help="measure speed and memory against the published loop and the bare backbone"
    )
    bench.add_argument("--dataset", default="sample", help="as in `emonet train`")
    bench.add_argument("--data-dir")
    bench.add_argument(
        "--backbone", default="minilm", help="an encoder: Hub id, folder or minilm; a decoder for lm_*"
    )
    bench.add_argument(
        "--dialogues", default=16, type=int, help="training dialogues, spread over the lengths"
    )
    bench.add_argument(
        "--rounds", default=3, type=int, help="every case runs this often, in turn; medians are reported"
    )
    bench.add_argument(
        "--only", nargs="*", metavar="CASE", help="these cases alone; lm_packed and lm_prompted run only so"
    )
    bench.add_argument("--output-dir", type=Path, default=Path("emonet-bench"))
    bench.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> None:
    from ..benchmarks.run import run_benchmarks

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
