"""The `emonet` commands that run a trained model: `predict` and `export`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..choices import BULK_ENGINES, DTYPES, ENGINES
from ..errors import EmoNetError
from .arguments import integer


def add_commands(commands: Any) -> None:
    """Add `predict` and `export`."""
    predict = commands.add_parser("predict", help="name the emotion of every turn of a script")
    predict.add_argument(
        "--model", required=True, help="run folder or Hub id; with --engine onnx a folder of `emonet export`"
    )
    predict.add_argument(
        "input", nargs="?", default="-", help="`Name: text` lines, JSONL, CSV or SRT subtitles; - for stdin"
    )
    predict.add_argument(
        "--output", default="-", help="JSONL file; - for stdout; a folder with a bulk engine"
    )
    bulk = "Parquet or JSONL files of any size into a folder of Parquet parts, on one machine or on a Ray cluster"
    predict.add_argument(
        "--engine", choices=(*ENGINES, *BULK_ENGINES), default="torch", help=f"datasets, ray: {bulk}"
    )
    predict.add_argument(
        "--dtype", choices=DTYPES, help="what PyTorch computes in (default: as the weights are stored)"
    )
    predict.add_argument(
        "--load-in-4bit", action="store_true", help="linear layers in 4 bits, where bitsandbytes runs"
    )
    predict.add_argument("--batch-size", default=16, type=integer(1), help="dialogues a forward pass")
    predict.add_argument(
        "--workers", default=1, type=integer(1), help="bulk: processes, each with a model of its own"
    )
    predict.add_argument(
        "--turns-a-part",
        default=2000,
        type=integer(1),
        help="bulk: rows of a part, one worker's unit of work",
    )
    predict.set_defaults(run=_predict)

    export = commands.add_parser("export", help="write an encoder model as ONNX")
    export.add_argument("--model", required=True, help="run folder or Hub id")
    export.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    export.add_argument("--int8", action="store_true", help="weights of matrix products as 8-bit integers")
    export.set_defaults(run=_export)


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.engine in BULK_ENGINES:
        if arguments.dtype is not None:
            raise EmoNetError(
                "--dtype is for the torch engine: save the model in that type for bulk prediction."
            )
        if arguments.load_in_4bit:
            raise EmoNetError(f"--load-in-4bit is for the torch engine, not for {arguments.engine}.")
        _predict_files(arguments)
        return
    from ..dialogue.transcripts import read_script
    from ..engines.load import computing_in, load_engine
    from ..files.disk import room_on_disk
    from ..inference.predict import predict_dialogues
    from .standard_output import is_utf8

    dialogues = read_script(arguments.input)
    escape = arguments.output == "-" and not is_utf8()
    model, processor = load_engine(arguments.model, arguments.engine, arguments.load_in_4bit)
    results = predict_dialogues(
        computing_in(model, arguments.dtype),
        processor,
        [turns for _, turns in dialogues],
        None,
        arguments.batch_size,
        sys.stderr.isatty(),
    )
    lines = []
    for (dialogue_id, turns), labelled in zip(dialogues, results, strict=True):
        for place, (turn, result) in enumerate(zip(turns, labelled, strict=True)):
            row: dict[str, Any] = {"dialogue_id": dialogue_id, "turn": place, **turn, **result}
            lines.append(json.dumps(row, ensure_ascii=escape))
    text = "\n".join(lines) + "\n"
    if arguments.output == "-":
        sys.stdout.write(text)
    else:
        with room_on_disk(arguments.output, "run the same command again"):
            Path(arguments.output).write_text(text, "utf-8")


def _predict_files(arguments: argparse.Namespace) -> None:
    from ..engines.bulk import predict_files, run_with_datasets
    from ..engines.ray_engine import run_with_ray

    if "-" in (arguments.input, arguments.output):
        raise EmoNetError(
            f"--engine {arguments.engine} reads files and writes a folder: name the input and --output."
        )
    done = predict_files(
        arguments.model,
        arguments.input,
        arguments.output,
        runner=run_with_ray if arguments.engine == "ray" else run_with_datasets,
        workers=arguments.workers,
        batch_size=arguments.batch_size,
        turns_a_part=arguments.turns_a_part,
    )
    print(f"{arguments.output}: {done['rows']} turns in {done['parts']} parts")


def _export(arguments: argparse.Namespace) -> None:
    from ..engines.load import load_engine
    from ..engines.onnx_export import export_onnx

    folder = export_onnx(*load_engine(arguments.model, "torch"), arguments.output, arguments.int8)
    sizes = ", ".join(
        f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(folder.glob("*.onnx"))
    )
    print(f"{folder}: {sizes}")
