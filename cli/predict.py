"""`emonet predict`: label the turns of scripts and of bulk files."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..choices import BULK_ENGINES, DTYPES, ENGINES
from ..errors import EmoNetError
from .arguments import Commands, add_speakers_argument, integer


def add_commands(commands: Commands) -> None:
    """Add `predict`."""
    predict = commands.add_parser("predict", help="predict the emotion of every turn of a script")
    predict.add_argument(
        "--model", required=True, help="run folder or Hub id; with --engine onnx a folder of `emonet export`"
    )
    predict.add_argument(
        "input", nargs="?", default="-", help="`Name: text` lines, JSONL, CSV or SRT subtitles; - for stdin"
    )
    predict.add_argument(
        "--output", default="-", help="JSONL file; - for stdout; a folder with a bulk engine"
    )
    predict.add_argument(
        "--engine",
        choices=(*ENGINES, *BULK_ENGINES),
        default="torch",
        help="datasets, ray: convert Parquet or JSONL files of any size to a folder of Parquet parts, "
        "on one machine or on a Ray cluster",
    )
    predict.add_argument(
        "--dtype", choices=DTYPES, help="PyTorch's data type (default: that of the stored weights)"
    )
    predict.add_argument(
        "--load-in-4bit", action="store_true", help="load linear layers in 4 bits (needs bitsandbytes)"
    )
    predict.add_argument("--batch-size", default=16, type=integer(1), help="dialogues per forward pass")
    predict.add_argument(
        "--workers", default=1, type=integer(1), help="bulk: number of processes, each with its own model"
    )
    predict.add_argument(
        "--turns-a-part",
        default=2000,
        type=integer(1),
        help="bulk: rows per part, a worker's unit of work",
    )
    add_speakers_argument(predict)
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.engine in BULK_ENGINES:
        if arguments.dtype is not None:
            raise EmoNetError(
                "--dtype is for the torch engine; for bulk prediction, save the model in that type."
            )
        if arguments.load_in_4bit:
            raise EmoNetError(f"--load-in-4bit is for the torch engine, not for {arguments.engine}.")
        if arguments.speakers != "auto":
            raise EmoNetError("--speakers is not for bulk prediction, where every dialogue stands alone.")
        _predict_files(arguments)
        return
    from ..dialogue.names import refuse_unknown_persons, speaker_kinds
    from ..dialogue.reader import read_source
    from ..engines.load import computing_in, load_engine
    from ..files.disk import room_on_disk
    from ..inference.predict import predict_dialogues
    from .standard_output import is_utf8

    reading = read_source(arguments.input)
    print(reading.summary(), file=sys.stderr)
    dialogues = [(found.dialogue_id, found.turns) for found in reading.conversations]
    escape = arguments.output == "-" and not is_utf8()
    model, processor = load_engine(arguments.model, arguments.engine, arguments.load_in_4bit)
    kinds = speaker_kinds(reading.speakers, arguments.speakers, processor.speakers)
    refuse_unknown_persons(kinds)
    if note := kinds.note():
        print(note, file=sys.stderr)
    results = predict_dialogues(
        computing_in(model, arguments.dtype),
        processor,
        [turns for _, turns in dialogues],
        None,
        arguments.batch_size,
        sys.stderr.isatty(),
        speakers=kinds,
    )
    lines = []
    for (dialogue_id, turns), labelled in zip(dialogues, results, strict=True):
        for index, (turn, result) in enumerate(zip(turns, labelled, strict=True)):
            row: dict[str, Any] = {"dialogue_id": dialogue_id, "turn": index, **turn, **result}
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
            f"--engine {arguments.engine} reads files and writes a folder: give the input and --output."
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
