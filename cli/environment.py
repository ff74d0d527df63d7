"""`emonet env`: print versions and machine for a bug report."""

import argparse

from .arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add `env`."""
    env = commands.add_parser("env", help="print versions and machine for a bug report")
    env.set_defaults(run=_env)


def _env(arguments: argparse.Namespace) -> None:
    import platform

    import torch

    from ..checkpoint.run_record import versions
    from ..constants import AUTO
    from ..engines.auto_dtype import resolved_dtype
    from ..files.cache import cache_root

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    facts = {
        **versions(),
        "platform": platform.platform(),
        "device": device,
        "dtype": f"{resolved_dtype(AUTO, 'cuda' if cuda else 'cpu')} (--dtype auto)",
        "cache": str(cache_root()),
    }
    for name, value in facts.items():
        print(f"{name:13s} {value}")
