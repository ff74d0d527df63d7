"""Mean and deviation over seeds: `python -m emonet.evaluation.summary
results/emonet-fast-minilm/*.json`.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import EmoNetError
from ..files.guard import read_json

KEYS = ("weighted_f1", "macro_f1", "accuracy")


def summarize(paths: Sequence[Path]) -> str:
    """One line over evaluation files of the same test set: seeds, then mean ± sd of each
    figure in percent.

    Raises:
        EmoNetError: for files of different dataset versions, splits or sizes; they are
            never averaged.
    """
    rows = [read_json(path) for path in paths]
    kinds = {(row["dataset_version"], row["split"], row["n"]) for row in rows}
    if len(kinds) != 1:
        raise EmoNetError(
            f"These are results on different sets, which never stand in one mean: {sorted(kinds)}."
        )
    version, split, turns = kinds.pop()
    parts = [f"{version} {split}, {turns} turns, {len(rows)} seeds"]
    for key in KEYS:
        values = [100 * row[key] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        parts.append(f"{key} {statistics.mean(values):.2f} ± {spread:.2f}")
    return "; ".join(parts)


if __name__ == "__main__":
    print(summarize([Path(name) for name in sys.argv[1:]]))
