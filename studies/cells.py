"""Find the finished cells of a study and check that they match it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..backbones.embedded import backbone_name
from ..constants import AUTO, PACKAGE_VERSION
from ..engines.auto_dtype import resolved_dtype
from ..errors import EmoNetError
from ..evaluation.packed_cells import PackedCell, PackedStudy, fold_of, packed_study, splits_of
from ..evaluation.packed_predictions import PredictedTurns
from ..evaluation.predictions import read_predictions
from ..evaluation.scored_runs import FILES
from ..files.guard import read_json
from ..runs.prompted.presets import PROMPTED_PRESETS, preset_settings
from ..training.presets import preset_config, preset_training
from .study import Cell, Study

RUN, VALIDATION, TEST = "run.json", "metrics.json", "test_metrics.json"
PREDICTIONS = {split: f"{names[0]}.gz" for split, names in FILES.items()}
CELL_FILES = (RUN, VALIDATION, TEST, *PREDICTIONS.values())
FOLD_FILES = (RUN, VALIDATION, TEST, PREDICTIONS["test"])


@dataclass(frozen=True)
class FinishedCell:
    """The results of a cell.

    Attributes:
        folder: The cell's folder in the results; it does not exist for packed cells.
        run: The content of `run.json`, with the validation figures of every epoch.
        validation: Figures on the validation split.
        test: Figures on the test split.
        packed: The packed files that hold the cell, or None if it has a folder.
    """

    folder: Path
    run: dict[str, Any]
    validation: dict[str, Any]
    test: dict[str, Any]
    packed: PackedStudy | None = None

    @property
    def dtype(self) -> str:
        """What it was computed in: float32 before there was a choice."""
        return str(self.run.get("cell", {}).get("dtype", "float32"))

    def predictions(self, split: str = "test") -> list[dict[str, Any]]:
        """The split's prediction rows, without text."""
        if self.packed is None:
            return read_predictions(self.folder / PREDICTIONS[split])
        return self.packed.predictions("/".join(self.folder.parts[-3:]), split).rows()

    def speakers(self) -> dict[str, Any] | None:
        """The dataset's `speakers.json`: the speakers of the training turns."""
        if self.packed is not None:
            return self.packed.speakers("/".join(self.folder.parts[-3:]))
        file = self.folder.parents[1] / "speakers.json"
        return read_json(file) if file.is_file() else None

    def as_packed(self) -> PackedCell:
        """The whole cell in the form that is packed."""
        documents = {"run": self.run, "validation": self.validation, "test": self.test}
        path = "/".join(self.folder.parts[-3:])
        predictions = {
            split: self.packed.predictions(path, split)
            if self.packed
            else PredictedTurns.of(self.predictions(split), f"{path}, {split}")
            for split in splits_of(path)
        }
        return PackedCell(path, documents, self.speakers(), predictions)


def cell_folders(root: Path) -> list[str]:
    """The cells of a results folder that are stored as folders."""
    return sorted(
        folder.relative_to(root).as_posix() for folder in root.glob("[!.]*/*/seed-*") if folder.is_dir()
    )


def cell_paths(root: Path) -> list[str]:
    """All cells of a results folder, packed or not."""
    packed = packed_study(root)
    return list(dict.fromkeys([*(packed.paths if packed else []), *cell_folders(root)]))


def stored_cell(root: Path, path: str, folders: bool = True) -> FinishedCell | None:
    """Read the cell at `path`, or return None if there is none.

    A cell with a folder is newer than its packed form: the folder is read.

    Args:
        root: The results folder.
        path: The cell, as `dataset/row/seed-N` or `dataset/row/seed-N-fold-I-of-K`.
        folders: Whether to look for folders; if False, read packed cells only.

    Raises:
        EmoNetError: for a folder with missing files.
    """
    folder = root / path
    if folders and folder.exists():
        names = CELL_FILES if fold_of(path) is None else FOLD_FILES
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise EmoNetError(
                f"The cell {path} is incomplete: {', '.join(missing)} missing. {_remedy(root, path)}"
            )
        return FinishedCell(folder, *(read_json(folder / name) for name in (RUN, VALIDATION, TEST)))
    packed = packed_study(root)
    if packed is None or path not in packed.paths:
        return None
    documents = packed.documents(path)
    return FinishedCell(folder, documents["run"], documents["validation"], documents["test"], packed)


def _remedy(root: Path, path: str) -> str:
    delete = f", or delete {root / path}" if (root / path).exists() else ""
    return f"Run it again with --fresh '{path}'{delete}."


def settings_of(cell: Cell) -> dict[str, Any]:
    """The settings of a cell in the study file."""
    fold = {} if cell.fold is None else {"fold": [cell.fold.index, cell.fold.count]}
    return {
        "dataset": cell.dataset,
        **fold,
        "backbone": backbone_name(cell.backbone),
        "seed": cell.seed,
        "preset": cell.row.preset,
        "config": cell.row.config,
        "training": cell.row.training,
    }


def recipe_of(
    cell: Cell, dataset_version: str, is_decoder: bool, num_layers: int, dtype: str = "float32"
) -> dict[str, Any]:
    """Everything that determines a cell's result.

    That is its settings, completed by the preset's, the versions of corpus and package,
    and the resolved dtype.
    """
    preset = cell.row.preset
    if preset in PROMPTED_PRESETS:
        config, training = asdict(preset_settings(preset, cell.row.config)), PROMPTED_PRESETS[preset].training
    else:
        config = {**preset_config(preset, is_decoder, num_layers), **cell.row.config}
        training = preset_training(preset, is_decoder)
    recipe = {
        **settings_of(cell),
        "config": config,
        "training": {**training, **cell.row.training},
        "dataset_version": dataset_version,
        "emonet": PACKAGE_VERSION,
        "dtype": dtype,
    }
    return _as_json(recipe)


def read_cell(root: Path, cell: Cell, recipe: Mapping[str, Any] | None = None) -> FinishedCell | None:
    """Read a finished cell from a results folder, or return None if there is none.

    Args:
        root: The results folder.
        cell: The cell of the study.
        recipe: What the cell must have been made with; without it (no corpus available),
            only the settings in the study file are compared.

    Raises:
        EmoNetError: for a cell that does not match or is incomplete, naming the
            differences and how to go on.
    """
    stored = stored_cell(root, cell.path)
    if stored is None:
        return None
    expected = _as_json(settings_of(cell) if recipe is None else recipe)
    found = {"dtype": stored.dtype, **stored.run.get("cell", {})}
    differences = _differences(expected, found, exact=recipe is not None)
    if differences:
        raise EmoNetError(
            f"The cell {cell.path} does not match the study: {'; '.join(differences)}. "
            f"{_remedy(root, cell.path)}"
        )
    return stored


def check_folds(root: Path, study: Study) -> None:
    """Refuse a results folder with cells of other folds than the study's.

    Raises:
        EmoNetError: naming one of the cells.
    """
    for path in cell_paths(root):
        fold = fold_of(path)
        if fold is None or fold[1] == study.folds:
            continue
        asked = f"--protocol episodes --folds {study.folds}" if study.folds else "--protocol public"
        raise EmoNetError(
            f"{root} holds the cell {path} of {fold[1]} episode folds, which {asked} would not score. Give "
            f"--protocol episodes --folds {fold[1]}, or another --output-dir."
        )


def study_dtype(root: Path, paths: Iterable[str], dtype: str) -> str:
    """The dtype of a study's next cells: with `auto` that of its finished cells.

    Args:
        root: The results folder.
        paths: The cells that stay as they are, finished or not.
        dtype: One of `DTYPES`.

    Raises:
        EmoNetError: where finished cells are of another dtype than the one that is given.
    """
    finished = next((cell for path in paths if (cell := stored_cell(root, path))), None)
    if finished is None:
        return resolved_dtype(dtype)
    found = finished.dtype
    if dtype not in (AUTO, found):
        raise EmoNetError(
            f"{root}: finished cells were computed in {found}, not in {dtype}, and one table can't hold "
            "both. Leave --dtype out, run them again with --fresh '*', or choose another --output-dir."
        )
    return found


def matching(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """Select the cells whose path, or a folder above it, matches one of the patterns.

    Args:
        cells: The cells of the study.
        patterns: For example `emorynlp/context` or `*/seed-3`.

    Raises:
        EmoNetError: for a pattern that no cell matches.
    """
    found: dict[str, Cell] = {}
    for pattern in patterns:
        matches = [
            cell
            for cell in cells
            if fnmatchcase(cell.path, pattern) or fnmatchcase(cell.path, f"{pattern.rstrip('/')}/*")
        ]
        if not matches:
            raise EmoNetError(
                f"{pattern!r} matches no cell of the study; a cell is, for example, {cells[0].path}."
            )
        found.update({cell.path: cell for cell in matches})
    return list(found.values())


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any], exact: bool) -> list[str]:
    """The differences as `key is X instead of Y`.

    Keys that are found but not expected count only if `exact`.
    """
    wanted, actual = _flat(expected), _flat(found)
    keys = [*wanted, *(key for key in actual if exact and key not in wanted)]
    absent = "not set"
    return [
        f"{key} is {actual.get(key, absent)!r} instead of {wanted.get(key, absent)!r}"
        for key in keys
        if wanted.get(key, absent) != actual.get(key, absent)
    ]


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a JSON file: tuples become lists."""
    content: dict[str, Any] = json.loads(json.dumps(values))
    return content


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            _flat(value, f"{key}.") if not prefix and isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return flat
