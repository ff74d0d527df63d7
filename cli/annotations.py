"""The `emonet annotations` and `emonet agreement` commands: labels that people gave."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EmoNetError
from .arguments import Commands, integer

if TYPE_CHECKING:
    from ..annotation.dialogues import AnnotatedDialogue
    from ..evaluation.agreement import Agreement

_FILES = (
    "exports of Label Studio (.json), of the page, or tables with a column `emotion` (.csv, .jsonl, …), each "
    "of an annotator"
)


def add_commands(commands: Commands) -> None:
    """Add `annotations` and `agreement`."""
    convert = commands.add_parser(
        "annotations", help="convert annotators' files to training data, or to tasks of Label Studio"
    )
    convert.add_argument("files", nargs="+", metavar="FILE", help=_FILES)
    convert.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help="*.jsonl or *.csv for `emonet train`; *.label-studio.json for Label Studio, with its labelling "
        "interface beside it (.xml)",
    )
    convert.add_argument(
        "--annotator",
        metavar="NAME",
        help="whose labels to train on (default: the most frequent label of each turn; none where annotators "
        "are tied)",
    )
    convert.set_defaults(run=_convert)
    agree = commands.add_parser(
        "agreement", help="agreement of annotators: percent, Cohen's and Fleiss' kappa, turns side by side"
    )
    agree.add_argument("files", nargs="+", metavar="FILE", help=_FILES)
    agree.add_argument(
        "--limit", type=integer(0), default=10, help="how many disagreements to list (default: 10)"
    )
    agree.add_argument(
        "--side-by-side",
        type=Path,
        metavar="FILE",
        help="write all turns to this CSV file, with a column for each annotator",
    )
    agree.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    agree.set_defaults(run=_agree)


def _convert(arguments: argparse.Namespace) -> None:
    from ..annotation.dialogues import annotators_of
    from ..annotation.files import csv_text, jsonl_text, label_studio_text, training_rows
    from ..annotation.label_studio import ENDING

    output: Path = arguments.output
    name = output.name.lower()
    if not name.endswith((".jsonl", ".csv", ENDING)):
        raise EmoNetError(f"{output}: name the output *.jsonl, *.csv or *{ENDING}.")
    for file in arguments.files:
        if output.exists() and Path(file).exists() and output.samefile(file):
            raise EmoNetError(f"{output} is an input: it would be replaced. Name another --output.")
    dialogues = _read(arguments.files)
    if name.endswith(ENDING):
        if arguments.annotator is not None:
            raise EmoNetError(
                "--annotator is for training data; a task of Label Studio holds all annotators."
            )
        _write(output, label_studio_text(dialogues))
        write_interface(output, _labels(dialogues))
        print(f"{output}: {len(dialogues)} tasks, annotators {', '.join(annotators_of(dialogues))}")
        return
    rows = list(training_rows(dialogues, arguments.annotator))
    _write(output, csv_text(rows) if name.endswith(".csv") else jsonl_text(rows))
    labelled = sum(row["emotion"] is not None for row in rows)
    tied = 0
    if arguments.annotator is None:
        tied = sum(
            bool(dialogue.votes(index)) and dialogue.majority(index) is None
            for dialogue in dialogues
            for index in range(len(dialogue.turns))
        )
    note = f"; {tied} without a label because annotators are tied" if tied else ""
    print(f"{output}: {len(rows)} turns, {labelled} with a label{note}")


def _agree(arguments: argparse.Namespace) -> None:
    import dataclasses
    import json

    from ..annotation.dialogues import annotators_of
    from ..evaluation.agreement import agreement
    from ..files.spreadsheet_cells import csv_of

    dialogues = _read(arguments.files)
    names = annotators_of(dialogues)
    if len(names) < 2:
        raise EmoNetError(
            f"The files hold the labels of one annotator, {names[0]}; give two files, or an export of Label "
            "Studio with two annotators."
        )
    turns = [
        (dialogue, index, {name: dialogue.labels[name][index] for name in names if name in dialogue.labels})
        for dialogue in dialogues
        for index in range(len(dialogue.turns))
    ]
    result = agreement({name: [labels.get(name) for _, _, labels in turns] for name in names})
    print(agreement_text(result))
    shown = result.disagreements[: arguments.limit]
    if shown:
        print(f"\nDisagreements ({len(shown)} of {len(result.disagreements)}):")
    for index in shown:
        dialogue, turn, labels = turns[index]
        given = ", ".join(f"{name}: {label}" for name, label in labels.items() if label is not None)
        said = f"{dialogue.turns[turn]['speaker']}: {dialogue.turns[turn]['text']}"
        print(f"  {dialogue.dialogue_id}, turn {turn}: {' '.join(said.split())[:70]}  [{given}]")
    if arguments.side_by_side:
        rows = [
            [
                dialogue.dialogue_id,
                index,
                *dialogue.turns[index].values(),
                *(labels.get(name) for name in names),
            ]
            for dialogue, index, labels in turns
        ]
        header = ["dialogue_id", "turn", "speaker", "text", *names]
        _write(arguments.side_by_side, "\ufeff" + csv_of(header, rows))
    if arguments.json:
        _write(arguments.json, json.dumps(dataclasses.asdict(result), ensure_ascii=False, indent=2) + "\n")


def agreement_text(result: "Agreement") -> str:
    """Write the figures as lines of text."""
    lines = [
        f"{result.turns} turns: {result.labelled_by_all} labelled by all annotators, "
        f"{result.labelled_by_some} by some only"
    ]
    for pair in result.pairs:
        alone = f"only {pair.first}: {pair.only_first}, only {pair.second}: {pair.only_second}"
        share = f"{pair.agreed} of {pair.turns} ({pair.agreed / pair.turns:.1%})" if pair.turns else "no turn"
        kappa = f", Cohen's kappa {_kappa(pair.kappa)}" if pair.turns else ""
        lines.append(f"{pair.first} and {pair.second}: agree on {share}{kappa} ({alone})")
    if result.labelled_by_all:
        lines.append(f"All {len(result.counts)}: Fleiss' kappa {_kappa(result.fleiss_kappa)}")
    for name, counts in result.counts.items():
        lines.append(f"{name}: {', '.join(f'{label} {count}' for label, count in counts.items()) or 'none'}")
    return "\n".join(lines)


def write_interface(output: Path, labels: Sequence[str]) -> None:
    """Write the labelling interface of a file of tasks beside it, and say so."""
    from ..annotation.label_studio import labelling_config

    interface = output.with_name(output.name.removesuffix(".json") + ".xml")
    _write(interface, labelling_config(labels))
    print(f"{interface}: the labelling interface of the project", file=sys.stderr)


def _kappa(kappa: float | None) -> str:
    return "undefined (one label for all)" if kappa is None else f"{kappa:.3f}"


def _labels(dialogues: "Sequence[AnnotatedDialogue]") -> list[str]:
    return sorted({label for one in dialogues for labels in one.labels.values() for label in labels if label})


def _read(files: Sequence[str]) -> "list[AnnotatedDialogue]":
    """Read and merge the files, and say on stderr what was decided."""
    from ..annotation.dialogues import merge
    from ..annotation.files import read_annotations, spell_alike

    found: list[tuple[str, Any]] = []
    for file in files:
        path = Path(file)
        if not path.is_file():
            raise EmoNetError(f"{file}: no such file; give {_FILES}.")
        dialogues, notes = read_annotations(path.read_bytes(), path.name)
        found.append((str(path), dialogues))
        for note in notes:
            print(f"{path.name}: {note}", file=sys.stderr)
    merged = merge(found)
    for note in spell_alike(merged):
        print(note, file=sys.stderr)
    return merged


def _write(path: Path, text: str) -> None:
    from ..files.disk import room_on_disk

    path.parent.mkdir(parents=True, exist_ok=True)
    with room_on_disk(path, "run the same command again"):
        path.write_text(text, "utf-8", newline="")
