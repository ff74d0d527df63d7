"""The `emonet` commands that run a trained model: `predict` and `export`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..choices import ENGINES


def add_commands(commands: Any) -> None:
    """Add `predict` and `export`."""
    predict = commands.add_parser("predict", help="name the emotion of every turn of a script")
    predict.add_argument("--model", required=True, help="run folder or Hub id; with --engine onnx a folder of `emonet export`")
    predict.add_argument("input", nargs="?", default="-", help="`Name: text` lines, JSONL or CSV; - for stdin")
    predict.add_argument("--output", default="-", help="JSONL file; - for stdout")
    predict.add_argument("--engine", choices=ENGINES, default="torch")
    predict.set_defaults(run=_predict)

    export = commands.add_parser("export", help="write an encoder model as ONNX")
    export.add_argument("--model", required=True, help="run folder or Hub id")
    export.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    export.add_argument("--int8", action="store_true", help="weights of matrix products as 8-bit integers")
    export.set_defaults(run=_export)


def _predict(arguments: argparse.Namespace) -> None:
    from ..inference import predict_dialogues
    from ..scripts import read_script
    from .load import load_engine

    dialogues = read_script(arguments.input)
    model, processor = load_engine(arguments.model, arguments.engine)
    results = predict_dialogues(model, processor, [turns for _, turns in dialogues], progress=sys.stderr.isatty())
    lines = []
    for (dialogue_id, turns), labelled in zip(dialogues, results, strict=True):
        for place, (turn, result) in enumerate(zip(turns, labelled, strict=True)):
            row: dict[str, Any] = {"dialogue_id": dialogue_id, "turn": place, **turn, **result}
            lines.append(json.dumps(row, ensure_ascii=False))
    text = "\n".join(lines) + "\n"
    if arguments.output == "-":
        sys.stdout.write(text)
    else:
        Path(arguments.output).write_text(text, "utf-8")


def _export(arguments: argparse.Namespace) -> None:
    from .load import load_engine
    from .onnx_export import export_onnx

    folder = export_onnx(*load_engine(arguments.model, "torch"), arguments.output, arguments.int8)
    sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(folder.glob("*.onnx")))
    print(f"{folder}: {sizes}")
