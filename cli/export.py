"""`emonet export`: write an encoder model as ONNX."""

import argparse
from pathlib import Path

from .arguments import Commands, add_model_argument


def add_commands(commands: Commands) -> None:
    """Add `export`."""
    export = commands.add_parser("export", help="write an encoder model as ONNX")
    add_model_argument(export, required=True)
    export.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    export.add_argument("--int8", action="store_true", help="store matrix weights as 8-bit integers")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from ..engines.load import load_engine
    from ..engines.onnx_export import export_onnx

    folder = export_onnx(*load_engine(arguments.model, "torch"), arguments.output, arguments.int8)
    files = sorted(folder.glob("*.onnx"))
    sizes = ", ".join(f"{file.name} {file.stat().st_size / 1e6:.1f} MB" for file in files)
    print(f"{folder}: {sizes}")
