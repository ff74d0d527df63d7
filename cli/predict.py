"""`emonet predict`: label the turns of scripts and of bulk files."""

import argparse
import sys
from pathlib import Path

from ..constants import BULK_ENGINES, ENGINES
from ..errors import EmoNetError
from .arguments import Commands, add_dtype_argument, add_model_argument, add_speakers_argument, integer
from .loading import without_collector
from .progress import Progress

INTERRUPTED = 128 + 2  # a shell's status of a program that SIGINT ended


def add_commands(commands: Commands) -> None:
    """Add `predict`."""
    predict = commands.add_parser("predict", help="predict the emotion of every turn of a script")
    add_model_argument(predict, "; with --engine onnx a folder of `emonet export`")
    predict.add_argument(
        "input",
        nargs="?",
        default="-",
        help="`Name: text` lines, a table (CSV, JSONL, …) with one row for each turn, subtitles; - for stdin",
    )
    predict.add_argument(
        "--output",
        default="-",
        help="*.jsonl, *.csv, *.parquet, *.xlsx, or *.label-studio.json for tasks of Label Studio; - for "
        "JSON lines on stdout; a folder with a bulk engine. Rows and columns are those of the input, with "
        "`row`, `label`, `score` and `scores` (in CSV and XLSX `score_LABEL`)",
    )
    predict.add_argument(
        "--prefix",
        default="",
        metavar="TEXT",
        help="begin the names of the added columns with TEXT, for input that has columns of their names",
    )
    predict.add_argument(
        "--interleaved",
        action="store_true",
        help="the rows of dialogues are mixed: a dialogue_id may begin again after another one",
    )
    predict.add_argument(
        "--engine",
        choices=(*ENGINES, *BULK_ENGINES),
        default="torch",
        help="datasets, ray: convert files of any size to a folder of Parquet parts, on one machine or on a "
        "Ray cluster; the same command resumes after a kill",
    )
    add_dtype_argument(predict)
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
    predict.add_argument(
        "--known-column",
        metavar="NAME",
        help="the column of a table whose labels are known and tell about the other turns (default: "
        "known_emotion, if there is one); rows then have a `source`, given or predicted",
    )
    predict.add_argument(
        "--use-later-labels", action="store_true", help="let a known label tell about earlier turns too"
    )
    add_speakers_argument(predict)
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    try:
        _predict_input(arguments)
    except KeyboardInterrupt:
        print("emonet: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _predict_input(arguments: argparse.Namespace) -> None:
    if arguments.engine in BULK_ENGINES:
        if arguments.load_in_4bit:
            raise EmoNetError(f"--load-in-4bit is for the torch engine, not for {arguments.engine}.")
        if arguments.known_column is not None:
            raise EmoNetError(
                f"--known-column is not for {arguments.engine}, which reads `known_emotion`: "
                "rename the column."
            )
        _predict_files(arguments)
        return
    from ..annotation.label_studio import ENDING as LABEL_STUDIO
    from ..dialogue.names import refuse_unknown_persons, speaker_kinds
    from ..engines.prediction_input import open_input
    from ..engines.row_writers import OutputFormat, check_columns
    from .annotations import write_interface

    prefix = arguments.prefix
    output = OutputFormat(arguments.output)
    _refuse_same_file(arguments.input, arguments.output)
    with open_input(arguments.input, arguments.interleaved, output.check, arguments.known_column) as source:
        print(source.summary(), file=sys.stderr)
        output.has_source = bool(source.known)
        check_columns(source.columns, [f"{prefix}row", *output.columns(prefix, ())], prefix)
        with without_collector():
            from ..engines.load import load_engine
            from ..engines.precision import computing_in
            from ..engines.prediction_stream import predicted_rows
            from .standard_output import is_utf8

            model, processor = load_engine(arguments.model, arguments.engine, arguments.load_in_4bit)
        source.known.check(processor.config)
        labels = processor.config.label_names
        check_columns(source.columns, output.columns(prefix, labels), prefix)
        kinds = speaker_kinds(source.speakers, arguments.speakers, processor.speakers)
        refuse_unknown_persons(kinds)
        if note := kinds.note():
            print(note, file=sys.stderr)
        columns = [f"{prefix}row", *source.columns]
        model = computing_in(model, arguments.dtype)
        progress = Progress(source.turns)
        try:
            with output.opened(sys.stdout, not is_utf8(), prefix, columns, labels) as writer:
                for rows in predicted_rows(
                    model,
                    processor,
                    source,
                    prefix,
                    arguments.batch_size,
                    speakers=kinds,
                    use_later_labels=arguments.use_later_labels,
                ):
                    writer.write(rows)
                    progress.add(len(rows))
        except (Exception, KeyboardInterrupt) as error:
            if progress.done and not isinstance(error, BrokenPipeError):
                progress.close()
                where = "written" if output.is_stream else f"in {output.unfinished}"
                print(f"{progress.done:,} of {source.turns:,} rows are {where}", file=sys.stderr)
            raise
        finally:
            progress.close()
        if output.ending == LABEL_STUDIO and output.path is not None:
            write_interface(output.path, labels)


def _refuse_same_file(source: str, output: str) -> None:
    """Refuse to write over the input, which is read while rows are written."""
    paths = Path(source), Path(output)
    if "-" not in (source, output) and all(path.exists() for path in paths) and paths[0].samefile(paths[1]):
        raise EmoNetError(f"{output} is the input: predictions would replace it. Name another --output.")


def _predict_files(arguments: argparse.Namespace) -> None:
    from ..engines.bulk import predict_files, run_with_datasets
    from ..engines.ray_engine import run_with_ray

    if "-" in (arguments.input, arguments.output):
        raise EmoNetError(
            f"--engine {arguments.engine} reads files and writes a folder: give the input and --output."
        )
    if not sys.stderr.isatty():
        from datasets import disable_progress_bars

        disable_progress_bars()
    progress: list[Progress] = []

    def report(done: int, total: int) -> None:
        if not progress:
            progress.append(Progress(total))
        progress[0].add(done - progress[0].done)

    try:
        done = predict_files(
            arguments.model,
            arguments.input,
            arguments.output,
            runner=run_with_ray if arguments.engine == "ray" else run_with_datasets,
            workers=arguments.workers,
            batch_size=arguments.batch_size,
            turns_a_part=arguments.turns_a_part,
            prefix=arguments.prefix,
            interleaved=arguments.interleaved,
            speakers=arguments.speakers,
            dtype=arguments.dtype,
            use_later_labels=arguments.use_later_labels,
            tell=lambda note: print(note, file=sys.stderr),
            report=None if sys.stderr.isatty() else report,
        )
    except KeyboardInterrupt:
        print("finished parts are kept; the same command makes the others", file=sys.stderr)
        raise
    print(f"{arguments.output}: {done['rows']} turns in {done['parts']} parts")
