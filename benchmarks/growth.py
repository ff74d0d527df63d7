"""Measure how the cost of a turn grows with turns, dialogues, speakers and history.

`python -m emonet.benchmarks.growth` prints a Markdown table: microseconds of the
processor for each turn. The model is tiny and untrained, so that the rest shows; a cost
that does not grow faster than its input stays as it is along a row.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ..data.collator import EncodedCorpus
from ..data.loading import load_conversations
from ..dialogue.reader import read_text
from ..engines.prediction_input import open_input
from ..engines.prediction_stream import predicted_rows
from ..files.spreadsheet_cells import csv_of
from ..inference.predict import predict_dialogues
from ..pipeline_emonet import EmoNetPipeline
from ..processing_emonet import EmoNetProcessor
from .tiny_models import LABELS, TINY, build

_NAMES = ["Anna", "Ben", "Cleo", "Dora"]
_TEXT = "so we went there on foot"

Row = tuple[str, int, str]  # dialogue, turn, speaker
Prepared = Callable[[], object]


def tiny_model(known: int = 0, **fields: Any) -> tuple[Any, EmoNetProcessor]:
    """Build an untrained model of one layer that knows `known` persons."""
    speakers = {person(index): index + 1 for index in range(known)}
    fields = {"context_window": 0, "num_speakers": known + 1, **fields}
    return build(TINY, "emonet-thesis", speakers, layers=1, width=16, **fields)


def person(index: int) -> str:
    """A name that no other index has, in letters."""
    letters = ""
    while index or not letters:
        index, digit = divmod(index, 26)
        letters += chr(ord("a") + digit)
    return f"Mr {letters.title()}son"


def one_dialogue(turns: int) -> Iterator[Row]:
    """One dialogue of four persons."""
    return (("d", index, _NAMES[index % 4]) for index in range(turns))


def many_dialogues(turns: int) -> Iterator[Row]:
    """Dialogues of ten turns of the same four persons."""
    return ((f"d{index // 10}", index % 10, _NAMES[index % 4]) for index in range(turns))


def many_speakers(turns: int) -> Iterator[Row]:
    """Dialogues of ten turns, each of a new person."""
    return ((f"d{index // 10}", index % 10, person(index)) for index in range(turns))


def mixed_dialogues(turns: int) -> Iterator[Row]:
    """Dialogues of ten turns, all of which are under way at a time."""
    count = max(1, turns // 10)
    return ((f"d{index % count}", index // count, _NAMES[index % 4]) for index in range(turns))


def write_rows(rows: Iterator[Row], path: Path) -> Path:
    """Write turns as CSV, with an emotion each."""
    header = ["dialogue_id", "turn", "speaker", "text", "emotion"]
    cells: Iterator[list[str | int]] = ([*row, _TEXT, LABELS[index % 3]] for index, row in enumerate(rows))
    path.write_text(csv_of(header, cells), "utf-8", newline="")
    return path


def _predict(
    rows: Callable[[int], Iterator[Row]], interleaved: bool = False, knows_all: bool = False, **fields: Any
) -> Callable[[int, Path], Prepared]:
    def prepare(turns: int, folder: Path) -> Prepared:
        path = write_rows(rows(turns), folder / "turns.csv")
        model, processor = tiny_model(turns if knows_all else 0, **fields)

        def run() -> None:
            with open_input(str(path), interleaved) as source:
                assert sum(map(len, predicted_rows(model, processor, source))) == turns

        return run

    return prepare


def _pipeline(
    rows: Callable[[int], Iterator[Row]], knows_all: bool = False
) -> Callable[[int, Path], Prepared]:
    def prepare(turns: int, folder: Path) -> Prepared:
        model, processor = tiny_model(turns if knows_all else 0, speaker_memory="corpus")
        pipe = EmoNetPipeline(model, processor)

        def dialogues() -> Iterator[list[dict[str, str]]]:
            for _, dialogue in groupby(rows(turns), key=lambda row: row[0]):
                yield [{"speaker": speaker, "text": _TEXT} for _, _, speaker in dialogue]

        def run() -> None:
            assert sum(map(len, pipe(dialogues()))) == turns

        return run

    return prepare


def _script(turns: int, folder: Path) -> Prepared:
    text = "\n".join(f"{_NAMES[index % 4]}: {_TEXT}" for index in range(turns))
    return lambda: read_text(text, "script.txt")


def _history(turns: int, folder: Path) -> Prepared:
    model, processor = tiny_model(speaker_memory="corpus")
    history = {name: [_TEXT] * (turns // 4) for name in _NAMES}
    dialogue = [{"speaker": name, "text": _TEXT} for name in _NAMES]
    return lambda: predict_dialogues(model, processor, [dialogue] * 8, [history] * 8)


def _corpus(rows: Callable[[int], Iterator[Row]]) -> Callable[[int, Path], Prepared]:
    def prepare(turns: int, folder: Path) -> Prepared:
        write_rows(rows(turns), folder / "train.csv")
        _, processor = tiny_model(speaker_memory="corpus")

        def run() -> None:
            EncodedCorpus(load_conversations(str(folder), history_window=10, labels=LABELS), processor)

        return run

    return prepare


CASES: dict[str, Callable[[int, Path], Prepared]] = {
    "`predict`, one dialogue": _predict(one_dialogue, speaker_memory="corpus"),
    "`predict`, one dialogue, one sequence a turn": _predict(
        one_dialogue, speaker_memory="none", context_mode="per_turn", context_window=2, context_module="gru"
    ),
    "`predict`, dialogues of ten turns": _predict(many_dialogues, speaker_memory="corpus"),
    "`predict`, all dialogues mixed": _predict(mixed_dialogues, interleaved=True, speaker_memory="none"),
    "`predict`, a new person every turn": _predict(many_speakers, speaker_memory="corpus"),
    "`predict`, as many known persons as turns": _predict(
        many_dialogues, knows_all=True, speaker_memory="none"
    ),
    "pipeline, one dialogue": _pipeline(one_dialogue),
    "pipeline, a generator of dialogues of ten turns": _pipeline(many_dialogues),
    "pipeline, as many known persons as turns": _pipeline(many_dialogues, knows_all=True),
    "`predict_dialogues`, a history of so many turns": _history,
    "reading a script": _script,
    "`EncodedCorpus`, dialogues of ten turns": _corpus(many_dialogues),
    "`EncodedCorpus`, a new person every turn": _corpus(many_speakers),
}


def main() -> None:
    """Measure each case at each size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose names hold one of these")
    arguments = parser.parse_args()
    print(f"| µs of the processor a turn | {' | '.join(f'{turns:,}' for turns in arguments.turns)} |")
    print("|---|" + "---:|" * len(arguments.turns))
    for name, prepare in CASES.items():
        if not any(part in name for part in arguments.only):
            continue
        print(f"| {name}", end=" |", flush=True)
        for turns in arguments.turns:
            with tempfile.TemporaryDirectory() as folder:
                run = prepare(turns, Path(folder))
                started = time.process_time()
                run()
            print(f" {(time.process_time() - started) / turns * 1e6:,.0f}", end=" |", flush=True)
        print()


if __name__ == "__main__":
    main()
