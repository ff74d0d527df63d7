"""Measure `emonet predict` beside its bare backbone on the same tokens.

`python -m emonet.benchmarks.bare_backbone --model RUN` prints the figures as JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ..constants import AUTO, DTYPES
from ..engines.load import load_engine
from ..engines.precision import computing_in
from ..engines.prediction_input import open_input
from ..engines.prediction_stream import predicted_rows
from ..engines.row_writers import OutputFormat
from ..inference.predict import TOKENS_PER_PASS, batches_by_length
from ..layers.padding import pad_rows
from .streaming_prediction import write_table


class Recorder:
    """A model that keeps the tokens which it encodes.

    Attributes:
        windows: The tokens of each window.
        utterances: The tokens of each utterance of the memory.
    """

    def __init__(self, model: Any):
        self.model, self.config, self.device = model, model.config, model.device
        self.windows: list[list[int]] = []
        self.utterances: list[list[int]] = []

    def eval(self) -> Any:
        """Switch dropout off."""
        return self.model.eval()

    def __call__(self, **batch: Any) -> Any:
        """Keep the windows of a batch, and predict it."""
        self.windows += _rows(batch["input_ids"], batch["attention_mask"])
        return self.model(**batch)

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Keep utterances, and encode them."""
        self.utterances += _rows(input_ids, attention_mask)
        vectors: torch.Tensor = self.model.emonet.encode_utterances(input_ids, attention_mask)
        return vectors


def _rows(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> list[list[int]]:
    return [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]


def predict(model: Any, processor: Any, source: Path) -> int:
    """Predict a file as `emonet predict` does, and write the rows to nowhere."""
    rows = 0
    output = OutputFormat("-")
    with open_input(str(source)) as opened, Path("/dev/null").open("w") as nowhere:
        columns = ["row", *opened.columns]
        with output.opened(nowhere, False, "", columns, processor.config.label_names) as writer:
            for block in predicted_rows(model, processor, opened):
                writer.write(block)
                rows += len(block)
    return rows


@torch.inference_mode()
def encode(encoder: Any, rows: Sequence[Sequence[int]], batch_size: int, token_budget: int) -> None:
    """Run the bare backbone over sequences, sorted by length."""
    examples = [{"input_ids": ids} for ids in rows]
    for indices in batches_by_length(examples, batch_size, token_budget):
        longest = len(rows[indices[0]])
        input_ids = pad_rows([rows[index] for index in indices], longest, 0)
        mask = pad_rows([[1] * len(rows[index]) for index in indices], longest, 0)
        encoder(input_ids=input_ids, attention_mask=mask)


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def compare(model: Any, processor: Any, source: Path, rounds: int) -> dict[str, Any]:
    """Predict a file and encode its tokens in turn.

    Returns:
        Turns, tokens, median seconds of both, and the share of the bare backbone's rate
        that predicting reaches, by the clock and by the processor's time.
    """
    recorder = Recorder(model)
    turns = predict(recorder, processor, source)
    encoder = model.emonet.encoder

    def bare() -> None:
        encode(encoder, recorder.windows, 16, 8192)
        encode(encoder, recorder.utterances, 256, TOKENS_PER_PASS)

    bare()
    measured = [(_timed(lambda: predict(model, processor, source)), _timed(bare)) for _ in range(rounds)]
    return {
        "turns": turns,
        "tokens": sum(map(len, [*recorder.windows, *recorder.utterances])),
        "predict_seconds": round(median(ours[0] for ours, _ in measured), 2),
        "backbone_seconds": round(median(theirs[0] for _, theirs in measured), 2),
        "share_of_rate": round(median(theirs[0] / ours[0] for ours, theirs in measured), 3),
        "share_of_rate_by_processor": round(median(theirs[1] / ours[1] for ours, theirs in measured), 3),
    }


def main() -> None:
    """Measure each length and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="run folder or built-in model")
    parser.add_argument("--dataset", default="emorynlp", help="corpus whose texts are labelled")
    parser.add_argument("--data-dir", help="folder with the corpus's files")
    parser.add_argument("--dtype", choices=DTYPES, default=AUTO)
    parser.add_argument("--turns", type=int, nargs="+", default=[3_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model, processor = load_engine(arguments.model)
    model = computing_in(model.eval(), arguments.dtype)
    with tempfile.TemporaryDirectory() as folder:
        for turns in arguments.turns:
            source = Path(folder, f"{turns}.csv")
            write_table(arguments.dataset, arguments.data_dir, turns, source)
            print(json.dumps(compare(model, processor, source, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
