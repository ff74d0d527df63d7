"""Measure how far the plain Trainer's gradients are from exact ones in length.

It divides a step's loss by the number of its labels, and the exact loss divides by their
weights: the factor is the mean weight of the step's labels (docs/fine_tuning.md).

`python -m emonet.benchmarks.step_weights --dataset meld`
"""

import argparse

import numpy as np

from ..data import load_conversations
from ..fine_tuning.class_weights import class_weights

SEED, STEPS = 1, 20_000


def spread_of_steps(dialogues: list[list[int]], weights: list[float], size: int) -> float:
    """The standard deviation of a step's mean weight; over all labels the mean is 1.

    Args:
        dialogues: The label ids of each dialogue.
        weights: The weight of each label.
        size: The number of dialogues of a step.
    """
    scale = np.asarray(weights)
    sums = np.array([scale[labels].sum() for labels in dialogues])
    counts = np.array([len(labels) for labels in dialogues])
    sums *= counts.sum() / sums.sum()
    random = np.random.default_rng(SEED)
    steps = np.array([random.choice(len(counts), size, replace=False) for _ in range(STEPS)])
    return float((sums[steps].sum(1) / counts[steps].sum(1)).std())


def main() -> None:
    """Print the spread of a corpus's steps, in percent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    corpus = load_conversations(arguments.dataset, arguments.data_dir, history_scope="none")
    turns = [[turn["emotion"] for turn in row["turns"]] for row in corpus["train"]]
    labels = [[label for label in dialogue if label is not None] for dialogue in turns]
    every = [label for dialogue in labels for label in dialogue]
    for weighting in ("sqrt_inverse", "inverse"):
        weights = class_weights(every, len(corpus.labels), weighting) or []
        for size in (8, 16):
            spread = spread_of_steps([dialogue for dialogue in labels if dialogue], weights, size)
            print(f"{corpus.dataset_version}, {weighting}, {size} dialogues a step: {100 * spread:.1f} %")


if __name__ == "__main__":
    main()
