"""Find runs by a command-line argument, with their predictions and seeds."""

import glob
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import EmoNetError
from ..files.guard import parse_json
from ..pretrained.models import MODELS
from .packed_cells import PackedStudy, fold_of, packed_study
from .predictions import label_names, read_predictions, turn_key

# The files of a split: its predictions, and its figures with the corpus version.
FILES = {
    "test": ("test_predictions.jsonl", "test_metrics.json"),
    "validation": ("predictions.jsonl", "metrics.json"),
}
STUDY_FILE = "study.json"
EPISODES = "episodes"  # behind a row: its turns of all folds
_SEED = re.compile(r"seed[-_ ]?(\d+)")


@dataclass(frozen=True)
class ScoredRun:
    """The predictions of a run; `seed` and `dataset_version` are None if unknown."""

    path: Path
    rows: list[dict[str, Any]]
    seed: int | None = None
    dataset_version: str | None = None


def find_runs(argument: str, split: str = "test") -> list[ScoredRun]:
    """Find the runs of one system, sorted by seed.

    Args:
        argument: A prediction file, a run folder, a folder of run folders, a glob, or
            several of them with commas. A row of a study gives its runs on the public
            test set; `ROW/episodes` gives the turns of all folds, a run for each seed.
        split: `test` or `validation`.

    Raises:
        EmoNetError: if nothing is found, or two runs have the same seed.
    """
    parts = (
        [argument]
        if Path(argument).exists()
        else [part.strip() for part in argument.split(",") if part.strip()]
    )
    found = [
        run
        for part in parts
        for run in _fold_runs(part, split)
        or _packed_runs(part, split)
        or [_scored_run(file, split) for file in _files(part, split)]
    ]
    runs = sorted(
        {run.path: run for run in found}.values(), key=lambda run: (run.seed is None, run.seed or 0)
    )
    for run, after in itertools.pairwise(runs):
        if run.seed is not None and run.seed == after.seed:
            raise EmoNetError(
                f"{argument}: seed {run.seed} is there twice, {run.path} and {after.path}; "
                "give the runs of one system."
            )
    return runs


def study_roots(runs: Sequence[ScoredRun]) -> list[Path]:
    """The results folders of those runs that are cells of a study."""
    parents = (run.path.resolve().parents for run in runs)
    return list(
        dict.fromkeys(
            folders[3] for folders in parents if len(folders) > 3 and (folders[3] / STUDY_FILE).is_file()
        )
    )


def pair_by_seed(
    first: Sequence[ScoredRun], second: Sequence[ScoredRun]
) -> list[tuple[ScoredRun, ScoredRun]]:
    """Pair the runs of two systems by seed; two single runs always are a pair.

    Raises:
        EmoNetError: for a run of unknown seed among several, or a seed that only one
            system has.
    """
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    for run in (*first, *second):
        if run.seed is None:
            raise EmoNetError(
                f"{run.path}: its seed is unknown, so it cannot be paired; "
                "keep run.json beside it or name it seed-N."
            )
    a, b = ({run.seed or 0: run for run in side} for side in (first, second))
    if a.keys() != b.keys():
        unpaired = [
            f"{name} lacks seed {_listed(seeds)}"
            for name, seeds in (("A", b.keys() - a), ("B", a.keys() - b))
            if seeds
        ]
        raise EmoNetError(
            f"Runs are paired by seed, and {' and '.join(unpaired)}: "
            "train them, or give the other seeds only."
        )
    return [(a[seed], b[seed]) for seed in sorted(a)]


def check_same_test_set(first: ScoredRun, second: ScoredRun) -> None:
    """Check that both runs are scored on the same turns with the same annotation.

    Raises:
        EmoNetError: naming the difference.
    """
    if reason := _difference(first, second):
        raise EmoNetError(
            f"{first.path} and {second.path} are results on different test sets "
            f"and cannot be compared: {reason}."
        )


def _difference(first: ScoredRun, second: ScoredRun) -> str | None:
    if first.dataset_version and second.dataset_version and first.dataset_version != second.dataset_version:
        return (
            f"the dataset is {first.dataset_version} in the first and {second.dataset_version} in the second"
        )
    a, b = ({turn_key(row): row["emotion"] for row in run.rows} for run in (first, second))
    reason = _only_in_one({key[0] for key in a}, {key[0] for key in b}, "dialogues")
    reason = reason or _only_in_one(
        {f"{key[0]}:{key[1]}" for key in a}, {f"{key[0]}:{key[1]}" for key in b}, "turns"
    )
    if reason:
        return reason
    if changed := [key for key in a if a[key] != b[key]]:
        dialogue, turn = changed[0]
        emotions = f"{a[changed[0]]} in the first and {b[changed[0]]} in the second"
        return (
            f"the annotations of {len(changed)} of {len(a)} turns "
            f"(dialogue {dialogue}, turn {turn}: {emotions})"
        )
    if all(run.rows[0].get("scores") for run in (first, second)):
        labels = [label_names(run.rows) for run in (first, second)]
        if set(labels[0]) != set(labels[1]):
            return (
                f"the labels are {', '.join(labels[0])} in the first and {', '.join(labels[1])} in the second"
            )
    return None


def _only_in_one(first: set[str], second: set[str], kind: str) -> str | None:
    """Describe the items that only one of the runs has, if any."""
    for one, other, name in ((first, second, "first"), (second, first, "second")):
        if items := one - other:
            return f"the {name} alone has the {kind} {_listed(items)}"
    return None


def _listed(items: Collection[Any], most: int = 4) -> str:
    listed = sorted(items)[:most]
    return ", ".join(map(str, listed)) + (f" … ({len(items)} in all)" if len(items) > most else "")


def _fold_runs(part: str, split: str) -> list[ScoredRun]:
    """The runs of `ROW/episodes`: each seed's predictions in all folds together."""
    row = Path(part).parent
    if Path(part).name != EPISODES or Path(part).exists() or len(row.parts) < 2:
        return []
    if split != "test":
        raise EmoNetError(f"{part}: folds keep the predictions of their test episodes only, not of {split}.")
    root = row.parent.parent
    packed = packed_study(root)
    stored = [root / path for path in packed.paths] if packed else []
    cells = [path for path in [*stored, *row.glob("seed-*")] if path.parent == row and fold_of(path.name)]
    by_seed: dict[int, dict[Path, ScoredRun]] = {}
    for path in cells:
        # A folder is newer than its packed form.
        run = (
            _scored_run(_in_run(path, split)[0], split)
            if path.is_dir()
            else _packed_run(root, packed, path.relative_to(root).as_posix(), split)
            if packed
            else None
        )
        if run is not None:
            by_seed.setdefault(run.seed or 0, {})[path] = run
    if not by_seed:
        raise EmoNetError(
            f"{part}: the row has no cell of episode folds; `emonet study … --protocol {EPISODES}` makes "
            "them."
        )
    return [_pooled(row / EPISODES / FILES[split][0], seed, runs) for seed, runs in by_seed.items()]


def _pooled(path: Path, seed: int, runs: Mapping[Path, ScoredRun]) -> ScoredRun:
    """Join the runs of a seed's folds."""
    folds = {_fold(cell) for cell in runs}
    counts = {count for _, count in folds}
    if len(counts) > 1 or len(folds) < min(counts):
        raise EmoNetError(
            f"{path.parent}: seed {seed} has {len(folds)} of {' and '.join(map(str, sorted(counts)))} folds; "
            "finish the study first."
        )
    rows = [row for cell in sorted(runs, key=_fold) for row in runs[cell].rows]
    version = next(iter(runs.values())).dataset_version
    return ScoredRun(path.with_name(f"seed-{seed}-{path.name}"), rows, seed, version)


def _fold(cell: Path) -> tuple[int, int]:
    return fold_of(cell.name) or (0, 0)


def _packed_runs(part: str, split: str) -> list[ScoredRun]:
    """The packed cells that an argument names as if they were folders.

    It may name a cell, a row or a pattern.
    """
    path = Path(part)
    if path.exists():
        return []
    for root in path.parents:
        if packed := packed_study(root):
            pattern = path.relative_to(root).as_posix()
            matches = [
                cell
                for cell in packed.paths
                if fnmatchcase(cell, pattern) or (fnmatchcase(cell, f"{pattern}/*") and not fold_of(cell))
            ]
            if not matches:
                raise EmoNetError(
                    f"{part}: {root} holds no such cell; one is, for example, {packed.paths[0]}."
                )
            return [_packed_run(root, packed, cell, split) for cell in matches]
    return []


def _packed_run(root: Path, packed: PackedStudy, cell: str, split: str) -> ScoredRun:
    documents = packed.documents(cell)
    return ScoredRun(
        root / cell / FILES[split][0],
        packed.predictions(cell, split).rows(),
        documents["run"].get("seed"),
        documents[split].get("dataset_version"),
    )


def _files(part: str, split: str) -> list[Path]:
    """The prediction files of one part of an argument."""
    path = Path(part)
    if path.is_file():
        return [path]
    if path.is_dir():
        return _in_run(path, split) or _below(path, split)
    if not glob.has_magic(part):
        if part in MODELS:
            raise EmoNetError(
                f"{part}: a built-in model has no predictions yet. Write them, and compare the file: emonet "
                f"evaluate --model {part} --dataset emorynlp --predictions {part}.jsonl"
            )
        raise EmoNetError(f"{part}: no such file or folder.")
    matches = sorted(glob.glob(part))
    if not matches:
        raise EmoNetError(f"{part}: nothing matches.")
    return [file for match in matches for file in _files(match, split)]


def _in_run(folder: Path, split: str) -> list[Path]:
    name = FILES[split][0]
    return [file for file in (folder / name, folder / f"{name}.gz") if file.is_file()][:1]


def _below(folder: Path, split: str) -> list[Path]:
    children = [path for path in sorted(folder.iterdir()) if path.is_dir() and not fold_of(path.name)]
    found = [file for child in children for file in _in_run(child, split)]
    if not found:
        name = FILES[split][0]
        raise EmoNetError(
            f"{folder}: neither it nor a folder in it holds {name}; `emonet evaluate --model {folder} "
            f"--dataset … --split {split} --predictions {folder / name}` writes it."
        )
    return found


def _scored_run(file: Path, split: str) -> ScoredRun:
    """Read a prediction file.

    The seed comes from the file's name, else from its run.json, else from its folder's
    name.
    """
    in_name, in_folder = _SEED.search(file.name), _SEED.search(file.resolve().parent.name)
    seed = (
        int(in_name[1])
        if in_name
        else _json(file.with_name("run.json")).get("seed", int(in_folder[1]) if in_folder else None)
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
        raise EmoNetError(f"{path}: not JSON ({error}); restore the file or delete it.") from error
    if not isinstance(content, dict) or not isinstance(content.get("seed", 0), int | None):
        raise EmoNetError(f"{path} is not a file that a run writes; restore it or delete it.")
    return content
