"""`emonet demo`: train, evaluate and predict on the embedded corpus."""

import argparse
from pathlib import Path

from .arguments import SEED, Commands


def add_commands(commands: Commands) -> None:
    """Add `demo`."""
    demo = commands.add_parser("demo", help="train, evaluate and predict on the embedded corpus")
    demo.add_argument("--output-dir", default="emonet-demo", type=Path)
    demo.add_argument("--backbone", default="minilm")
    demo.add_argument("--seed", default=1, type=SEED)
    demo.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    from ..runs.demo import run_demo

    run_demo(arguments.output_dir, arguments.backbone, arguments.seed)
