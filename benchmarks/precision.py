"""Compare dtypes of a trained model's transformer: labels, weighted F1 and time.

`python -m emonet.benchmarks.precision` prints the figures of the built-in models as JSON.
Every few dialogues are predicted in each way in turn, so that a change of the machine's
speed meets all of them.
"""

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch

from ..checkpoint.run_record import versions
from ..data.collator import EncodedCorpus
from ..engines.auto_dtype import measured_gain, processor_name
from ..engines.load import load_engine
from ..engines.precision import encoder_in
from ..evaluation.metrics import emotion_metrics
from ..inference.predict import predict_logits
from ..pretrained.models import MODELS
from ..runs.options import EvaluateOptions
from ..runs.packed import PackedFamily

DIALOGUES = 8  # predicted at a time
_ORDERS = 200
EXACT, CHOSEN = "float32", "linear layers"
# What of the transformer is bfloat16; read-outs, context modules and heads are float32.
WAYS = {
    EXACT: "nothing",
    CHOSEN: "weights and products of linear layers, as with --dtype bfloat16",
    "autocast": "what torch.autocast chooses: also attention, activations and norms of such states",
    "whole": "all weights and states",
}

Times = list[tuple[float, float]]  # seconds of the clock and of the processor


def compare(model: Any, processor: Any, windows: Sequence[Any], memory: Any = None) -> dict[str, Any]:
    """Predict dialogues in all ways.

    Args:
        model: A packed model; its weights are as before in the end.
        processor: Its processor.
        windows: The encoded windows of each dialogue.
        memory: The memory table, as in `predict_logits`.

    Returns:
        For each way: the share of turns with float32's label, the share that is to be
        expected, weighted F1, the largest difference of a logit, and how many times
        faster than float32 it is.
    """
    base, exact = model.emonet, model.emonet.encoder
    encoders = {EXACT: exact, CHOSEN: exact, "autocast": copy.copy(exact), "whole": copy.deepcopy(exact)}
    half = torch.autocast(exact.device.type, torch.bfloat16)
    encoders["autocast"].forward = half(exact.forward)
    encoders["whole"].to(torch.bfloat16)
    logits: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    times: dict[str, Times] = {way: [] for way in WAYS}
    parts = [windows[start : start + DIALOGUES] for start in range(0, len(windows), DIALOGUES)]
    for index, part in enumerate([parts[0], *parts]):  # the first prepares the kernels
        for way, encoder in encoders.items():
            base.encoder = encoder
            with encoder_in("bfloat16", exact) if way == CHOSEN else nullcontext():
                clock, cpu = time.perf_counter(), time.process_time()
                found = predict_logits(model, processor, part, memory)
                taken = time.perf_counter() - clock, time.process_time() - cpu
            if index:
                logits[way] += found
                times[way].append(taken)
    base.encoder = exact
    gold = np.concatenate(
        [window["labels"][window["read_from"] :] for dialogue in windows for window in dialogue]
    )
    scores = {way: np.concatenate(found) for way, found in logits.items()}
    labels = {way: found.argmax(-1) for way, found in scores.items()}
    names = model.config.label_names
    return {
        way: {
            "agreement": float((labels[way] == labels[EXACT]).mean()),
            "expected_agreement": _expected_agreement(scores[EXACT], scores[way]),
            "weighted_f1": emotion_metrics(gold, labels[way], names)["weighted_f1"],
            "largest_difference": float(np.abs(scores[way] - scores[EXACT]).max()),
            "times_faster": {
                "clock": _times_faster(times, way, 0),
                "processor": _times_faster(times, way, 1),
            },
        }
        for way in WAYS
    }


def _expected_agreement(exact: np.ndarray, scores: np.ndarray) -> float:
    """The share of labels that stay if differences of logits meet turns in random order.

    Few labels change, and another batch changes others: the mean over many orders varies
    less than the count of one.
    """
    generator, labels = np.random.default_rng(0), exact.argmax(-1)
    shares = [
        ((exact + generator.permutation(scores - exact)).argmax(-1) == labels).mean() for _ in range(_ORDERS)
    ]
    return float(np.mean(shares))


def _times_faster(times: Mapping[str, Times], way: str, kind: int) -> dict[str, float]:
    """Quartiles over the passes of float32's time over that of a way."""
    ratios = [exact[kind] / own[kind] for exact, own in zip(times[EXACT], times[way], strict=True)]
    low, middle, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {"low": round(low, 3), "median": round(middle, 3), "high": round(high, 3)}


def main() -> None:
    """Compare models on a corpus's split and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", default=list(MODELS), help="run folders, built-in models")
    parser.add_argument("--dataset", default="emorynlp", help="as in `emonet evaluate`")
    parser.add_argument("--data-dir", help="folder with the corpus's files")
    parser.add_argument("--split", default="test")
    parser.add_argument("--dialogues", type=int, help="compare the first dialogues only")
    arguments = parser.parse_args()
    options = EvaluateOptions(
        dataset=arguments.dataset, data_dir=arguments.data_dir, speakers="auto", split=arguments.split
    )
    figures: dict[str, Any] = {
        "dataset": arguments.dataset,
        "split": arguments.split,
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "product_times_faster": round(measured_gain("cpu", "bfloat16"), 2),
        "bfloat16": WAYS,
        "models": {},
    }
    for name in arguments.model:
        model, processor = load_engine(name)
        conversations = PackedFamily().load(options, model.config).restricted_to((options.split,))
        corpus = EncodedCorpus(conversations, processor)
        windows = corpus[options.split].windows[: arguments.dialogues]
        ways = compare(model, processor, windows, corpus.collator.memory)
        figures["models"][Path(name).name] = {"dialogues": len(windows), **ways}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
