"""`emonet presets`: list the presets."""

import argparse

from .arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add `presets`."""
    presets = commands.add_parser(
        "presets", help="list the presets, with the parameters each adds to a backbone of width 384"
    )
    presets.set_defaults(run=_presets)


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
        print(f"{name:22s} {prompted.summary}  [{prompted.paper}; {future}; adapters only]")
