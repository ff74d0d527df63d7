"""Find a study's finished cells, packed or in folders, and check that they are those it
asks for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..backbones.embedded import backbone_name
from ..errors import EmoNetError
from ..evaluation.packed_cells import PackedCell, PackedStudy, packed_study
from ..evaluation.predictions import read_predictions
from ..evaluation.scored_runs import FILES
from ..files.guard import read_json
from ..runs.prompted.presets import PROMPTED_PRESETS, preset_settings
from ..training.presets import preset_config, preset_training
from ..version import PACKAGE_VERSION
from .study import Cell

RUN, VALIDATION, TEST = "run.json", "metrics.json", "test_metrics.json"
PREDICTIONS = {split: f"{names[0]}.gz" for split, names in FILES.items()}
CELL_FILES = (RUN, VALIDATION, TEST, *PREDICTIONS.values())


@dataclass(frozen=True)
class FinishedCell:
    """A cell as it was measured.

    Attributes:
        folder: Its place below the results, which need not exist: packed cells lie in two
            files for all.
        run: Its run.json, with every epoch's validation figures. validation / test: Its
            splits' figures.
        packed: The files that hold it, or None where it has a folder of its own.
    """

    folder: Path
    run: dict[str, Any]
    validation: dict[str, Any]
    test: dict[str, Any]
    packed: PackedStudy | None = None

    def predictions(self, split: str = "test") -> list[dict[str, Any]]:
        """The split's prediction rows, without text."""
        if self.packed is None:
            return read_predictions(self.folder / PREDICTIONS[split])
        return self.packed.rows("/".join(self.folder.parts[-3:]), split)

    def speakers(self) -> dict[str, Any] | None:
        """The dataset's `speakers.json`: who has an id, from the training turns."""
        if self.packed is not None:
            return self.packed.speakers("/".join(self.folder.parts[-3:]))
        file = self.folder.parents[1] / "speakers.json"
        return read_json(file) if file.is_file() else None

    def whole(self) -> PackedCell:
        """Everything of the cell, as the packed form takes it."""
        documents = {"run": self.run, "validation": self.validation, "test": self.test}
        rows = {split: self.predictions(split) for split in PREDICTIONS}
        return PackedCell("/".join(self.folder.parts[-3:]), documents, self.speakers(), rows)


def cell_folders(root: Path) -> list[str]:
    """The cells of a results folder that have a folder of their own."""
    return sorted(
        folder.relative_to(root).as_posix() for folder in root.glob("[!.]*/*/seed-*") if folder.is_dir()
    )


def cell_paths(root: Path) -> list[str]:
    """All cells of a results folder, packed or not."""
    packed = packed_study(root)
    return list(dict.fromkeys([*(packed.paths if packed else []), *cell_folders(root)]))


def stored_cell(root: Path, path: str, folders: bool = True) -> FinishedCell | None:
    """The cell of that path, or None; its folder, if there is one, is newer than a packed
    one and read unless `folders` is False.

    Raises:
        EmoNetError: for a folder that isn't whole.
    """
    folder = root / path
    if folders and folder.exists():
        missing = [name for name in CELL_FILES if not (folder / name).is_file()]
        if missing:
            raise EmoNetError(
                f"The cell {path} is not whole: it lacks {', '.join(missing)}. {_way_out(root, path)}"
            )
        return FinishedCell(folder, *(read_json(folder / name) for name in (RUN, VALIDATION, TEST)))
    packed = packed_study(root)
    if packed is None or path not in packed.paths:
        return None
    documents = packed.documents(path)
    return FinishedCell(folder, documents["run"], documents["validation"], documents["test"], packed)


def _way_out(root: Path, path: str) -> str:
    deleted = f", or delete {root / path}" if (root / path).exists() else ""
    return f"Run it anew with --fresh '{path}'{deleted}."


def asked_of(cell: Cell) -> dict[str, Any]:
    """What the study file says about a cell."""
    return {
        "dataset": cell.dataset,
        "backbone": backbone_name(cell.backbone),
        "seed": cell.seed,
        "preset": cell.row.preset,
        "config": cell.row.config,
        "training": cell.row.training,
    }


def recipe_of(cell: Cell, dataset_version: str, is_decoder: bool, num_layers: int) -> dict[str, Any]:
    """All that decides a cell's result: the study's words with the preset's, the corpus
    version and this package's.
    """
    preset = cell.row.preset
    if preset in PROMPTED_PRESETS:
        config, training = asdict(preset_settings(preset, cell.row.config)), PROMPTED_PRESETS[preset].training
    else:
        config = {**preset_config(preset, is_decoder, num_layers), **cell.row.config}
        training = preset_training(preset, is_decoder)
    recipe = {
        **asked_of(cell),
        "config": config,
        "training": {**training, **cell.row.training},
        "dataset_version": dataset_version,
        "emonet": PACKAGE_VERSION,
    }
    return json.loads(json.dumps(recipe))


def read_cell(root: Path, cell: Cell, recipe: Mapping[str, Any] | None = None) -> FinishedCell | None:
    """The finished cell in the results folder `root`, or None where there is none.

    Args:
        recipe: What it must have been made by; without it (no corpus at hand) only the
            study's own words are compared.

    Raises:
        EmoNetError: for a cell that was made otherwise or isn't whole, naming what
            differs and the way out.
    """
    stored = stored_cell(root, cell.path)
    if stored is None:
        return None
    expected = asked_of(cell) if recipe is None else recipe
    found = stored.run.get("cell", {})
    if reasons := _differences(json.loads(json.dumps(expected)), found, whole=recipe is not None):
        raise EmoNetError(
            f"The cell {cell.path} is another than the study asks for: {'; '.join(reasons)}. {_way_out(root, cell.path)}"
        )
    return stored


def matching(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells whose path, or a folder above it, matches one of the patterns
    (`emorynlp/context`, `*/seed-3`).

    Raises:
        EmoNetError: for a pattern that no cell matches.
    """
    found: dict[str, Cell] = {}
    for pattern in patterns:
        hits = [
            cell
            for cell in cells
            if fnmatchcase(cell.path, pattern) or fnmatchcase(cell.path, f"{pattern.rstrip('/')}/*")
        ]
        if not hits:
            raise EmoNetError(
                f"{pattern!r} matches no cell of the study; a cell is, for example, {cells[0].path}."
            )
        found.update({cell.path: cell for cell in hits})
    return list(found.values())


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any], whole: bool) -> list[str]:
    """What differs, as `key is X there and Y here`; unless `whole`, only keys that are
    expected count.
    """
    here, there = _flat(expected), _flat(found)
    keys = [*here, *(key for key in there if whole and key not in here)]
    absent = "not set"
    return [
        f"{key} is {there.get(key, absent)!r} there and {here.get(key, absent)!r} here"
        for key in keys
        if here.get(key, absent) != there.get(key, absent)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            _flat(value, f"{key}.") if not prefix and isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return flat
