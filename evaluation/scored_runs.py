"""Runs by name: the prediction files that a command-line argument means, with the seed
and dataset version of each.
"""

import glob
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from ..files.guard import parse_json
from .packed_cells import PackedStudy, packed_study
from .predictions import label_names, read_predictions, turn_key

# Where a run keeps a split's predictions, and the figures that say which version of the
# corpus they are on.
FILES = {
    "test": ("test_predictions.jsonl", "test_metrics.json"),
    "validation": ("predictions.jsonl", "metrics.json"),
}
STUDY_FILE = "study.json"
_SEED = re.compile(r"seed[-_ ]?(\d+)")


@dataclass(frozen=True)
class ScoredRun:
    """One run's predictions; `seed` and `dataset_version` are None where nothing tells
    them.
    """

    path: Path
    rows: list[dict[str, Any]]
    seed: int | None = None
    dataset_version: str | None = None


def find_runs(argument: str, split: str = "test") -> list[ScoredRun]:
    """The runs of one system, by seed: a prediction file, a run folder, a folder of such,
    a glob, or a list with commas.

    Raises:
        EmoNetError: where nothing is found, or a seed is there twice.
    """
    parts = (
        [argument]
        if Path(argument).exists()
        else [part.strip() for part in argument.split(",") if part.strip()]
    )
    found = [
        run
        for part in parts
        for run in _packed_runs(part, split) or [_scored_run(f, split) for f in _files(part, split)]
    ]
    runs = sorted(
        {run.path: run for run in found}.values(), key=lambda run: (run.seed is None, run.seed or 0)
    )
    for run, after in itertools.pairwise(runs):
        if run.seed is not None and run.seed == after.seed:
            raise EmoNetError(
                f"{argument}: seed {run.seed} is there twice, {run.path} and {after.path}; name one system's runs."
            )
    return runs


def study_roots(runs: Sequence[ScoredRun]) -> list[Path]:
    """The results folders of the runs that are cells of a study."""
    parents = (run.path.resolve().parents for run in runs)
    return list(
        dict.fromkeys(
            folders[3] for folders in parents if len(folders) > 3 and (folders[3] / STUDY_FILE).is_file()
        )
    )


def pair_by_seed(
    first: Sequence[ScoredRun], second: Sequence[ScoredRun]
) -> list[tuple[ScoredRun, ScoredRun]]:
    """Runs of the same seed side by side; one run against one run is a pair as it is.

    Raises:
        EmoNetError: for a run without a known seed among several, or a seed that one side
            lacks.
    """
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    for run in (*first, *second):
        if run.seed is None:
            raise EmoNetError(
                f"{run.path}: its seed is unknown, so it has no partner; keep run.json beside it or name it seed-N."
            )
    a, b = ({run.seed or 0: run for run in side} for side in (first, second))
    if a.keys() != b.keys():
        lacks = [
            f"{name} lacks seed {_listed(lack)}"
            for name, lack in (("A", b.keys() - a), ("B", a.keys() - b))
            if lack
        ]
        raise EmoNetError(
            f"Runs are paired by seed, and {' and '.join(lacks)}: train them, or name the others alone."
        )
    return [(a[seed], b[seed]) for seed in sorted(a)]


def check_same_test_set(first: ScoredRun, second: ScoredRun) -> None:
    """EmoNetError, saying what differs, unless both runs are scored on the same turns
    with the same annotation.
    """
    if reason := _what_differs(first, second):
        raise EmoNetError(
            f"{first.path} and {second.path} are results on different test sets and cannot be compared: {reason}."
        )


def _what_differs(first: ScoredRun, second: ScoredRun) -> str | None:
    if first.dataset_version and second.dataset_version and first.dataset_version != second.dataset_version:
        return (
            f"the dataset is {first.dataset_version} in the first and {second.dataset_version} in the second"
        )
    a, b = ({turn_key(row): row["emotion"] for row in run.rows} for run in (first, second))
    reason = _alone({key[0] for key in a}, {key[0] for key in b}, "dialogues")
    reason = reason or _alone(
        {f"{key[0]}:{key[1]}" for key in a}, {f"{key[0]}:{key[1]}" for key in b}, "turns"
    )
    if reason:
        return reason
    if other := [key for key in a if a[key] != b[key]]:
        dialogue, turn = other[0]
        emotions = f"{a[other[0]]} in the first and {b[other[0]]} in the second"
        return f"the annotations of {len(other)} of {len(a)} turns (dialogue {dialogue}, turn {turn}: {emotions})"
    if all(run.rows[0].get("scores") for run in (first, second)):
        labels = [label_names(run.rows) for run in (first, second)]
        if set(labels[0]) != set(labels[1]):
            return (
                f"the labels are {', '.join(labels[0])} in the first and {', '.join(labels[1])} in the second"
            )
    return None


def _alone(first: set[str], second: set[str], what: str) -> str | None:
    """Which of them one side has alone, if any."""
    for one, other, name in ((first, second, "first"), (second, first, "second")):
        if lone := one - other:
            return f"the {name} alone has the {what} {_listed(lone)}"
    return None


def _listed(items: Collection[Any], most: int = 4) -> str:
    shown = sorted(items)[:most]
    return ", ".join(map(str, shown)) + (f" … ({len(items)} in all)" if len(items) > most else "")


def _packed_runs(part: str, split: str) -> list[ScoredRun]:
    """The packed cells that an argument names as it would their folders: a cell, a row,
    or a pattern.
    """
    path = Path(part)
    if path.exists():
        return []
    for root in path.parents:
        if packed := packed_study(root):
            pattern = path.relative_to(root).as_posix()
            hits = [
                cell
                for cell in packed.paths
                if fnmatchcase(cell, pattern) or fnmatchcase(cell, f"{pattern}/*")
            ]
            if not hits:
                raise EmoNetError(
                    f"{part}: {root} holds no such cell; one is, for example, {packed.paths[0]}."
                )
            return [_packed_run(root, packed, cell, split) for cell in hits]
    return []


def _packed_run(root: Path, packed: PackedStudy, cell: str, split: str) -> ScoredRun:
    documents = packed.documents(cell)
    return ScoredRun(
        root / cell / FILES[split][0],
        packed.rows(cell, split),
        documents["run"].get("seed"),
        documents[split].get("dataset_version"),
    )


def _files(part: str, split: str) -> list[Path]:
    """The prediction files under one name of an argument."""
    path = Path(part)
    if path.is_file():
        return [path]
    if path.is_dir():
        return _in_run(path, split) or _below(path, split)
    if not glob.has_magic(part):
        raise EmoNetError(f"{part}: no such file or folder.")
    matches = sorted(glob.glob(part))
    if not matches:
        raise EmoNetError(f"{part}: nothing matches.")
    return [file for match in matches for file in _files(match, split)]


def _in_run(folder: Path, split: str) -> list[Path]:
    name = FILES[split][0]
    return [file for file in (folder / name, folder / f"{name}.gz") if file.is_file()][:1]


def _below(folder: Path, split: str) -> list[Path]:
    found = [file for child in sorted(folder.iterdir()) if child.is_dir() for file in _in_run(child, split)]
    if not found:
        name = FILES[split][0]
        raise EmoNetError(
            f"{folder}: neither it nor a folder in it holds {name}; "
            f"`emonet evaluate --model {folder} --dataset … --split {split} --predictions {folder / name}` writes it."
        )
    return found


def _scored_run(file: Path, split: str) -> ScoredRun:
    """The file's seed is what its name says, else its run's, else what its folder's name
    says.
    """
    named, folder = _SEED.search(file.name), _SEED.search(file.resolve().parent.name)
    seed = (
        int(named[1])
        if named
        else _json(file.with_name("run.json")).get("seed", int(folder[1]) if folder else None)
    )
    name, figures = FILES[split]
    version = (
        _json(file.with_name(figures)).get("dataset_version")
        if file.name.removesuffix(".gz") == name
        else None
    )
    return ScoredRun(file, read_predictions(file), seed, version)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text("utf-8"))
    except ValueError as error:
        raise EmoNetError(f"{path}: no JSON ({error}); restore the file or delete it.") from error
    if not isinstance(content, dict) or not isinstance(content.get("seed", 0), int | None):
        raise EmoNetError(f"{path} is not as a run writes it; restore the file or delete it.")
    return content
