"""`emonet forget`: remove a person from a checkpoint."""

import argparse
from pathlib import Path

from .arguments import DATA_DIR_HELP, Commands


def add_commands(commands: Commands) -> None:
    """Add `forget`."""
    forget = commands.add_parser(
        "forget", help="remove a person from a checkpoint, and list what cannot be removed"
    )
    forget.add_argument("name", help="as in speakers.json")
    forget.add_argument("--model", required=True, type=Path, help="run folder, which is changed in place")
    forget.add_argument("--dataset", help="training corpus, for a model whose prompts show demonstrations")
    forget.add_argument("--data-dir", help=DATA_DIR_HELP)
    forget.set_defaults(run=_forget)


def _forget(arguments: argparse.Namespace) -> None:
    from ..runs.forget import forget_in_checkpoint, training_turns

    turns = None
    if arguments.dataset:
        turns = training_turns(arguments.dataset, arguments.data_dir, arguments.name)
    print(forget_in_checkpoint(arguments.model, arguments.name, turns))
