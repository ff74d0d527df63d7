"""Measure what known labels of some turns are worth, by folds of whole episodes.

`python -m emonet.benchmarks.known_labels --dataset emorynlp --backbone smollm2 --output
FOLDER` trains the preset `emonet-labels`, and `emonet` without label evidence, on each
fold and from each seed. It shows gold labels of a share of the tested turns and scores
the turns that are not shown, for both alike. FOLDER keeps the logits of each cell, so
that the command goes on where it was stopped, and `known_labels.json`.
"""

import argparse
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..constants import AUTO, DTYPES, NO_LABEL
from ..data.collator import EncodedCorpus
from ..data.folds import Fold
from ..data.loading import primary_metric
from ..engines.auto_dtype import resolved_dtype
from ..evaluation.metrics import neutral_ids
from ..evaluation.significance import compare_counts, dialogue_counts, metric_of_counts
from ..inference.known_labels import show_labels
from ..inference.predict import predict_logits
from ..runs.known_labels import EARLIER, gold_as_known
from ..runs.options import TrainOptions
from ..runs.packed import PackedFamily
from ..runs.seeds import train_seeds

PLAIN, WITH_LABELS = "emonet", "emonet-labels"
# What is shown: a share of the turns or all earlier ones; how many of these are wrong.
SHOWN: dict[str, tuple[float | str, float]] = {
    "0.1": (0.1, 0.0),
    "0.25": (0.25, 0.0),
    "0.5": (0.5, 0.0),
    "earlier": (EARLIER, 0.0),
    "earlier, a fifth wrong": (EARLIER, 0.2),
}


def measure(
    dataset: str,
    backbone: str,
    seeds: Sequence[int],
    folds: int,
    output: Path,
    data_dir: str | None = None,
    dtype: str = AUTO,
) -> dict[str, Any]:
    """Train and score all cells that `output` lacks, and compare the two presets.

    Args:
        dataset: A corpus with episodes.
        backbone: As in [`TrainOptions`].
        seeds: The seeds.
        folds: The number of folds.
        output: The folder of the cells.
        data_dir: As in [`TrainOptions`].
        dtype: As in [`TrainOptions`].

    Returns:
        The figures of each row of `SHOWN`, and without labels.
    """
    output.mkdir(parents=True, exist_ok=True)
    for preset in (WITH_LABELS, PLAIN):
        for fold in (Fold(index, folds) for index in range(folds)):
            missing = [seed for seed in seeds if not _file(output, preset, seed, fold).is_file()]
            if not missing:
                continue
            options = TrainOptions(
                dataset=dataset,
                data_dir=data_dir,
                output_dir=output / "run",
                preset=preset,
                backbone=backbone,
                fold=fold,
                dtype=dtype,
                progress=False,
                calibrate=False,
            )
            with contextlib.redirect_stdout(io.StringIO()):  # the Trainer's log
                cells = list(_cells(options, missing))
            for seed, cell in zip(missing, cells, strict=True):
                np.savez(_file(output, preset, seed, fold), **cell)
                print(f"{preset}, seed {seed}, fold {fold.index + 1} of {folds}", flush=True)
    return _figures(output, seeds, folds, primary_metric(dataset))


def _file(output: Path, preset: str, seed: int, fold: Fold) -> Path:
    return output / f"{preset}-seed-{seed}-fold-{fold.index}-of-{fold.count}.npz"


def _cells(options: TrainOptions, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Train a preset on a fold from each seed, and predict its test part."""
    run = PackedFamily().prepare(options)
    config, processor = run.model.config, run.corpus.processor
    conversations = options.load(history_window=config.memory_window, history_scope=config.speaker_memory)
    corpus = EncodedCorpus(conversations.restricted_to(("test",)), processor)
    corpus.cache_features(run.model, progress=False, dtype=resolved_dtype(options.dtype, run.model.device))
    test, splits = corpus["test"], (run.corpus["train"], run.corpus["validation"])
    training = run.settings["training"]
    for seed, _ in zip(
        seeds, train_seeds(run.model, *splits, training, seeds, dtype=options.dtype), strict=True
    ):
        sizes = [len(row["turns"]) for row in test.rows]
        cell = {
            "gold": test.labels(),
            "episodes": np.repeat([row["episode"] for row in test.rows], sizes),
            "labels": np.array(config.label_names),
        }
        shown = SHOWN if config.label_evidence else {}
        for name, (known_labels, wrong) in {"none": (0.0, 0.0), **shown}.items():
            known, given = gold_as_known(test.rows, len(config.label_names), known_labels, seed, wrong)
            windows = [show_labels(*pair) for pair in zip(test.windows, known, strict=True)]
            logits = predict_logits(run.model, processor, windows, test.collator.memory)
            cell[name], cell[f"{name}, given"] = np.concatenate(logits).argmax(-1), given
        yield cell


def _figures(output: Path, seeds: Sequence[int], folds: int, metric: str) -> dict[str, Any]:
    """Compare the presets on the turns whose label was not shown, over all folds."""
    figures: dict[str, Any] = {"seeds": list(seeds), "folds": folds, "metric": metric, "rows": {}}
    for name in ("none", *SHOWN):
        counts: list[list[Any]] = [[], []]
        for seed in seeds:
            cells = [
                [np.load(_file(output, preset, seed, Fold(index, folds))) for index in range(folds)]
                for preset in (PLAIN, WITH_LABELS)
            ]
            plain, labelled = (
                {key: np.concatenate([cell[key] for cell in part]) for key in part[0] if key != "labels"}
                for part in cells
            )
            names = cells[0][0]["labels"].tolist()
            scored = ~labelled[f"{name}, given"] & (plain["gold"] != NO_LABEL)
            for index, predicted in enumerate((plain["none"], labelled[name])):
                turns = (plain["gold"][scored], predicted[scored], plain["episodes"][scored])
                counts[index].append(dialogue_counts(*turns, len(names)))
        neutral = neutral_ids(names)
        # The turns of a share depend on the seed: each pair of runs has its own.
        pairs = [compare_counts(one, two, metric, neutral=neutral) for one, two in zip(*counts, strict=True)]
        values = [
            float(np.mean([metric_of_counts(run.sum(0), metric, neutral) for run in runs])) for runs in counts
        ]
        found = {"turns": [pair.n_turns for pair in pairs], "without evidence": values[0], "value": values[1]}
        found |= {part: float(np.mean([getattr(pair, part) for pair in pairs])) for part in _PARTS}
        figures["rows"][name] = found
    return figures


_PARTS = ("difference", "low", "high")  # means over seeds; the intervals are those of single runs


def main() -> None:
    """Measure, print a table and write `known_labels.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", default="emorynlp")
    parser.add_argument("--data-dir")
    parser.add_argument("--backbone", default="smollm2")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--dtype", choices=DTYPES, default=AUTO)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    figures = measure(**vars(arguments))
    settings = {name: value for name, value in vars(arguments).items() if name not in ("output", "data_dir")}
    text = json.dumps({**settings, **figures}, indent=2)
    (arguments.output / "known_labels.json").write_text(text + "\n", "utf-8")
    print("| labels known | turns | emonet | emonet-labels | difference [95 %, episodes] |")
    print("|---|---|---|---|---|")
    for name, row in figures["rows"].items():
        plain, value, difference, low, high = (
            100 * row[part] for part in ("without evidence", "value", *_PARTS)
        )
        print(
            f"| {name} | {row['turns'][0]:,} | {plain:.2f} | {value:.2f} | "
            f"{difference:+.2f} [{low:+.2f}, {high:+.2f}] |"
        )


if __name__ == "__main__":
    main()
