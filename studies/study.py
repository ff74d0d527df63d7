"""A study: rows × seeds × datasets in one declarative JSON file, read and checked before
anything is trained.
"""

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..choices import CHOICES
from ..configuration_emonet import EmoNetConfig
from ..context.base import SYSTEMS
from ..data.loading import CORPORA
from ..errors import EmoNetError
from ..files.guard import parse_json
from ..prompted.configuration import PromptSettings
from ..runs.prompted.presets import PROMPTED_PRESETS, PROMPTED_TRAINING
from ..training.arguments import CLASS_WEIGHTINGS, LOGIT_ADJUSTMENTS, EmoNetTrainingArguments
from ..training.presets import PRESETS
from . import DEFINITIONS

STUDY_FILE = "study.json"
_KEYS = ("name", "note", "datasets", "backbone", "seeds", "reference", "defaults", "rows", "pairs")
_ROW_KEYS = ("preset", "config", "training")
_DATASET_KEYS = ("name", "data_dir")
# What corpus, backbone and cell decide, and what changes nothing that is learnt.
_OWN_CONFIG = (
    "text_config", "backbone", "num_speakers", "num_concepts", "class_weights", "dataset_version", "emonet_version",
)  # fmt: skip
_OWN_TRAINING = (
    "output_dir",
    "seed",
    "data_seed",
    "disable_tqdm",
    "push_to_hub",
    "report_to",
    "run_name",
    "project",
    "debug",
)
_OWN_TRAINING_PREFIXES = ("_", "do_", "hub_", "log_", "logging_", "trackio_")
CONFIG_FIELDS = tuple(name for name in EmoNetConfig.own_defaults() if name not in _OWN_CONFIG)
TRAINING_FIELDS = tuple(
    item.name
    for item in dataclasses.fields(EmoNetTrainingArguments)
    if item.init and item.name not in _OWN_TRAINING and not item.name.startswith(_OWN_TRAINING_PREFIXES)
)
# A prompted preset's rows say what its prompts hold, and how trajectories are scheduled.
PROMPT_FIELDS = tuple(PromptSettings.__dataclass_fields__)
ALL_PRESETS = (*PRESETS, *PROMPTED_PRESETS)
_FIELD_CHOICES = {
    **CHOICES,
    "context_module": ("none", *SYSTEMS),
    "class_weighting": CLASS_WEIGHTINGS,
    "logit_adjustment": LOGIT_ADJUSTMENTS,
}


@dataclass(frozen=True)
class StudyRow:
    """One row of the table: a preset and what differs from it (`EmoNetConfig` and
    `EmoNetTrainingArguments` fields).
    """

    name: str
    preset: str
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One training and its scores: a row with a seed on a dataset."""

    dataset: str
    data_dir: str | None
    backbone: str
    row: StudyRow
    seed: int

    @property
    def path(self) -> str:
        """The cell's folder inside the results, and its name in messages."""
        return f"{slug(self.dataset)}/{slug(self.row.name)}/seed-{self.seed}"


@dataclass(frozen=True)
class Study:
    """What a study file declares.

    Attributes:
        datasets: Name (as `load_conversations` takes it) → folder with its files, or None
            for `$EMONET_DATA`. reference: The row that the others are compared with.
            pairs: Further comparisons, (row, row). source: The file's content.
    """

    name: str
    note: str
    datasets: dict[str, str | None]
    backbone: str
    seeds: list[int]
    reference: str
    rows: dict[str, StudyRow]
    pairs: list[tuple[str, str]]
    source: dict[str, Any]

    def cells(self) -> list[Cell]:
        """All cells, seed by seed, so that a study cut short has whole tables of fewer
        seeds.
        """
        return [
            Cell(dataset, data_dir, self.backbone, row, seed)
            for seed in self.seeds
            for dataset, data_dir in self.datasets.items()
            for row in self.rows.values()
        ]


def read_study(path: str | Path) -> Study:
    """The study of a JSON file, or a shipped one by its name (`emorynlp_cached`).

    Raises:
        EmoNetError: for anything unknown or missing, naming file and key, with what is
            allowed.
    """
    file = _find(path)
    try:
        source = parse_json(file.read_text("utf-8"), object_pairs_hook=_without_twins)
    except ValueError as error:
        raise EmoNetError(f"{file}: {error}") from error
    try:
        return _study(source)
    except EmoNetError as error:
        raise EmoNetError(f"{file}, {error}") from error


def slug(name: str) -> str:
    """A name as a folder: small letters, digits, and hyphens for all else."""
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-.")


def _find(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    shipped = {known.stem: known for known in sorted(DEFINITIONS.glob("*.json"))}
    if str(path) in shipped:
        return shipped[str(path)]
    raise EmoNetError(f"{path}: neither a study file nor a study of the package ({', '.join(shipped)}).")


def _without_twins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file; a key that is there twice would silently lose its first
    value.
    """
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} is there twice in one object.")
        result[key] = value
    return result


def _study(source: Any) -> Study:
    _check_keys(source, "the study", _KEYS)
    for name in ("name", "datasets", "backbone", "seeds", "reference", "rows"):
        if not source.get(name):
            raise EmoNetError(
                f"{name}: missing or empty; a study needs name, datasets, backbone, seeds, reference and rows."
            )
    for name in ("name", "backbone", "reference", "note"):
        _check_type(source.get(name, ""), name, str, "a text")
    _check_keys(source["rows"], "rows", None)
    defaults = source.get("defaults", {})
    _check_part(defaults, "defaults")
    rows = {name: _row(name, row, defaults) for name, row in source["rows"].items()}
    _check_slugs([source["name"]], "name")
    _check_slugs(rows, "rows")
    _check_pairs(source.get("pairs", []))
    for where, names in (
        ("reference", [source["reference"]]),
        ("pairs", [name for pair in source.get("pairs", []) for name in pair]),
    ):
        for name in names:
            if name not in rows:
                raise EmoNetError(f"{where}: no row {name!r}; the rows are {', '.join(rows)}.")
    datasets = _datasets(source["datasets"])
    _check_slugs(datasets, "datasets")
    seeds = source["seeds"]
    if (
        not isinstance(seeds, list)
        or not all(type(seed) is int and seed >= 0 for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise EmoNetError(f"seeds: {seeds!r} is not a list of different whole numbers.")
    return Study(
        name=source["name"],
        note=source.get("note", ""),
        datasets=datasets,
        backbone=source["backbone"],
        seeds=seeds,
        reference=source["reference"],
        rows=rows,
        pairs=[(first, second) for first, second in source.get("pairs", [])],
        source=source,
    )


def _row(name: str, row: Any, defaults: dict[str, Any]) -> StudyRow:
    _check_part(row, f"rows, {name!r}")
    preset = row.get("preset", defaults.get("preset"))
    if preset is None:
        raise EmoNetError(
            f"rows, {name!r}: no preset, neither here nor in defaults; the presets are {', '.join(ALL_PRESETS)}."
        )
    merged = {part: {**defaults.get(part, {}), **row.get(part, {})} for part in ("config", "training")}
    _check_fields(merged, f"rows, {name!r}", preset in PROMPTED_PRESETS)
    return StudyRow(name, preset, **merged)


def _check_part(part: Any, where: str) -> None:
    """A row, or what all rows share."""
    _check_keys(part, where, _ROW_KEYS)
    if "preset" in part and part["preset"] not in ALL_PRESETS:
        raise EmoNetError(f"{where}, preset: {part['preset']!r} is not one of {', '.join(ALL_PRESETS)}.")
    if "preset" in part:
        _check_fields(part, where, part["preset"] in PROMPTED_PRESETS)


def _check_fields(part: dict[str, Any], where: str, prompted: bool) -> None:
    fields_of = {
        "config": (*PROMPT_FIELDS, "causal") if prompted else CONFIG_FIELDS,
        "training": (*TRAINING_FIELDS, *PROMPTED_TRAINING) if prompted else TRAINING_FIELDS,
    }
    for name, allowed in fields_of.items():
        fields = part.get(name, {})
        _check_keys(fields, f"{where}, {name}", allowed)
        for key, value in fields.items():
            if key in _FIELD_CHOICES and value not in _FIELD_CHOICES[key]:
                raise EmoNetError(
                    f"{where}, {name}, {key}: {value!r} is not one of {', '.join(_FIELD_CHOICES[key])}."
                )


def _datasets(entries: Any) -> dict[str, str | None]:
    _check_type(entries, "datasets", list, 'a list of {"name", "data_dir"}')
    datasets: dict[str, str | None] = {}
    for number, entry in enumerate(entries, 1):
        where = f"datasets, entry {number}"
        _check_keys(entry, where, _DATASET_KEYS)
        name = entry.get("name")
        if name not in (*CORPORA, "sample") and not (isinstance(name, str) and Path(name).is_dir()):
            raise EmoNetError(
                f"{where}, name: {name!r} is neither a corpus ({', '.join([*CORPORA, 'sample'])}) nor a folder."
            )
        if name in datasets:
            raise EmoNetError(f"{where}, name: {name!r} is there twice.")
        datasets[name] = entry.get("data_dir")
    return datasets


def _check_pairs(pairs: Any) -> None:
    _check_type(pairs, "pairs", list, "a list of pairs of rows")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            raise EmoNetError(
                f"pairs: {pair!r} is not a pair of two rows, [row, row that is compared with it]."
            )


def _check_keys(value: Any, where: str, allowed: Collection[str] | None) -> None:
    """`value` is an object with no other keys than `allowed` (any where None)."""
    _check_type(value, where, dict, "an object")
    for key in value:
        if allowed is not None and key not in allowed:
            close = difflib.get_close_matches(key, allowed, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise EmoNetError(f"{where}: unknown key {key!r}{hint}; allowed are {', '.join(allowed)}.")


def _check_type(value: Any, where: str, kind: type, called: str) -> None:
    if not isinstance(value, kind):
        raise EmoNetError(f"{where}: {value!r} is not {called}.")


def _check_slugs(names: Collection[str], where: str) -> None:
    """Names become folders: none may be empty there, and no two the same."""
    folders: dict[str, str] = {}
    for name in names:
        folder = slug(name)
        if not folder:
            raise EmoNetError(f"{where}: {name!r} has neither a letter nor a digit.")
        if folder in folders:
            raise EmoNetError(
                f"{where}: {folders[folder]!r} and {name!r} would share the folder {folder!r}; rename one."
            )
        folders[folder] = name
