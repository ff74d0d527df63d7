"""`emonet backbone`: install, list or locate the embedded backbones."""

import argparse

from .arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add `backbone`."""
    backbone = commands.add_parser("backbone", help="install, list or locate the embedded backbones")
    backbone.add_argument("action", choices=("install", "list", "path"))
    backbone.add_argument("name", nargs="?")
    backbone.set_defaults(run=_backbone)


def _backbone(arguments: argparse.Namespace) -> None:
    from ..backbones.embedded import EMBEDDED_BACKBONES, install_backbone, list_backbones, resolve_backbone

    if arguments.action == "list":
        print(list_backbones())
        return
    if arguments.name not in EMBEDDED_BACKBONES:
        raise ValueError(f"name an embedded backbone: {', '.join(EMBEDDED_BACKBONES)}.")
    install = install_backbone if arguments.action == "install" else resolve_backbone
    print(install(arguments.name))
