"""Read a study (rows × seeds × datasets) from its JSON file and check it."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from ..configuration_emonet import EmoNetConfig, limited
from ..context.base import SYSTEMS
from ..data.folds import Fold
from ..data.loading import CORPORA
from ..errors import EmoNetError
from ..files.guard import parse_json
from ..fine_tuning.class_weights import CLASS_WEIGHTINGS
from ..prompted.configuration import PromptSettings
from ..runs.prompted.presets import PROMPTED_PRESETS, PROMPTED_TRAINING
from ..studies import DEFINITIONS
from ..training.arguments import LOGIT_ADJUSTMENTS, EmoNetTrainingArguments
from ..training.presets import PRESETS
from .factors import Levels, crossed, merged
from .strict_reader import check_keys, check_values, read_as

STUDY_FILE = "study.json"
# How a corpus is split: as its owners released it, or so and by folds of whole episodes.
PROTOCOLS = ("public", "episodes")
FOLDS = 5
# Fields that the corpus, the backbone or the cell sets, or that do not change the model.
_RESERVED_CONFIG = (
    "text_config",
    "backbone",
    "num_speakers",
    "num_concepts",
    "class_weights",
    "dataset_version",
    "emonet_version",
)
_RESERVED_TRAINING = (
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
_RESERVED_TRAINING_PREFIXES = ("_", "do_", "hub_", "log_", "logging_", "trackio_")
CONFIG_FIELDS = {
    name: EmoNetConfig.__dataclass_fields__[name]
    for name in EmoNetConfig.own_defaults()
    if name not in _RESERVED_CONFIG
}
TRAINING_FIELDS = tuple(
    item.name
    for item in dataclasses.fields(EmoNetTrainingArguments)
    if item.init
    and item.name not in _RESERVED_TRAINING
    and not item.name.startswith(_RESERVED_TRAINING_PREFIXES)
)
PROMPT_FIELDS = {**PromptSettings.__dataclass_fields__, "causal": CONFIG_FIELDS["causal"]}
ALL_PRESETS = (*PRESETS, *PROMPTED_PRESETS)
# Of fields whose type is `str`.
_CHOICES = {
    "context_module": ("none", *SYSTEMS),
    "class_weighting": CLASS_WEIGHTINGS,
    "logit_adjustment": LOGIT_ADJUSTMENTS,
}


_NON_EMPTY = limited(MISSING, "non-empty", bool).metadata
_SEEDS = limited(
    MISSING,
    "different whole numbers from 0, at least one",
    lambda seeds: bool(seeds) and min(seeds) >= 0 and len(set(seeds)) == len(seeds),
).metadata


@dataclass(frozen=True)
class StudyFile:
    """The keys of a study file, with their types."""

    name: str = field(metadata=_NON_EMPTY)
    datasets: list[Any] = field(metadata=_NON_EMPTY)
    backbone: str = field(metadata=_NON_EMPTY)
    seeds: list[int] = field(metadata=_SEEDS)
    reference: str = field(metadata=_NON_EMPTY)
    rows: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    pairs: list[list[str]] = field(default_factory=list)
    protocol: str = limited("public", f"one of {', '.join(PROTOCOLS)}", PROTOCOLS.__contains__)
    folds: int = limited(FOLDS, "at least 2", lambda folds: folds >= 2)
    fold_seeds: list[int] = field(default_factory=list)
    scores: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RowSettings:
    """The keys of a row in a study file, and of `defaults`."""

    preset: str | None = limited(None, f"one of {', '.join(ALL_PRESETS)}", ALL_PRESETS.__contains__)
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetEntry:
    """The keys of a dataset in a study file."""

    name: str
    data_dir: str | None = None


@dataclass(frozen=True)
class StudyRow:
    """One row of the table: a preset and what differs from it.

    Attributes:
        config: Fields of `EmoNetConfig`, or of `PromptSettings` for a prompted preset.
        training: Fields of `EmoNetTrainingArguments`.
    """

    name: str
    preset: str
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One training and its scores: a row with a seed on a dataset.

    Attributes:
        fold: The fold that it is tested on; None for the public test set.
        keeps_scores: Whether the predictions keep their probabilities.
    """

    dataset: str
    data_dir: str | None
    backbone: str
    row: StudyRow
    seed: int
    fold: Fold | None = None
    keeps_scores: bool = True

    @property
    def path(self) -> str:
        """The cell's folder inside the results, and its name in messages."""
        fold = f"-fold-{self.fold.index}-of-{self.fold.count}" if self.fold else ""
        return f"{slug(self.dataset)}/{slug(self.row.name)}/seed-{self.seed}{fold}"


@dataclass(frozen=True)
class Study:
    """A study as its file declares it, with `defaults` merged into the rows.

    Attributes:
        datasets: Name (as `load_conversations` takes it) → folder with its files, or None
            for `$EMONET_DATA`.
        reference: The row that the others are compared with.
        factors: Factor → its levels, the base first. Rows of all combinations, named by
            their levels, come before the other rows.
        pairs: Further comparisons, (row, row).
        folds: The number of folds of whole episodes that are scored beside the public
            test set; 0 for none.
        fold_seeds: The seeds that are scored by folds.
        scores: The rows whose probabilities folds, and studies with factors, keep; of
            others they keep the predicted labels.
        source: The content of the file.
    """

    name: str
    note: str
    datasets: dict[str, str | None]
    backbone: str
    seeds: list[int]
    reference: str
    rows: dict[str, StudyRow]
    factors: dict[str, list[str]]
    pairs: list[tuple[str, str]]
    folds: int
    fold_seeds: list[int]
    scores: list[str]
    source: dict[str, Any]

    def cells(self) -> list[Cell]:
        """All cells, seed by seed: an interrupted study has full tables of some seeds."""
        folds = [None, *(Fold(index, self.folds) for index in range(self.folds))]
        return [
            Cell(dataset, data_dir, self.backbone, row, seed, fold, self._keeps_scores(row.name, fold))
            for seed in self.seeds
            for dataset, data_dir in self.datasets.items()
            for row in self.rows.values()
            for fold in (folds if seed in self.fold_seeds else folds[:1])
        ]

    def _keeps_scores(self, row: str, fold: Fold | None) -> bool:
        return row in self.scores or not (self.factors or fold)

    def on_backbone(self, backbone: str | None) -> "Study":
        """The study on another backbone than its file declares; None for its own."""
        return _study({**self.source, "backbone": backbone}) if backbone else self

    def by_protocol(self, protocol: str | None, folds: int | None) -> "Study":
        """The study with another protocol or number of folds than its file declares."""
        changes = {"protocol": protocol, "folds": folds}
        given = {name: value for name, value in changes.items() if value is not None}
        if folds and {**self.source, **given}.get("protocol") != "episodes":
            raise EmoNetError("--folds is for --protocol episodes; the public test set has none.")
        return _study({**self.source, **given}) if given else self


def read_study(path: str | Path) -> Study:
    """Read a study from a JSON file, or a shipped one by its name (`emorynlp_cached`).

    Raises:
        EmoNetError: for anything unknown, missing or of a wrong type, naming the file,
            the key and what is allowed.
    """
    file = _find(path)
    try:
        source = parse_json(file.read_text("utf-8"), object_pairs_hook=_unique_keys)
    except ValueError as error:
        raise EmoNetError(f"{file}: {error}") from error
    try:
        return _study(source)
    except EmoNetError as error:
        raise EmoNetError(f"{file}, {error}") from error


def slug(name: str) -> str:
    """A name as a folder: lower-case letters, digits, and hyphens for everything else."""
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-.")


def _find(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    shipped = {known.stem: known for known in sorted(DEFINITIONS.glob("*.json"))}
    if str(path) in shipped:
        return shipped[str(path)]
    raise EmoNetError(f"{path}: neither a study file nor a study of the package ({', '.join(shipped)}).")


def _unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a repeated key, `json` would silently keep the last value."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} is there twice in one object.")
        result[key] = value
    return result


def _study(source: Any) -> Study:
    file = read_as(StudyFile, source, "the study")
    defaults = _row_settings(file.defaults, "defaults")
    settings = {
        factor: _levels(levels, f"factors, {factor!r}", defaults) for factor, levels in file.factors.items()
    }
    rows = {name: _row(name, row, defaults) for name, row in file.rows.items()}
    factors = {factor: list(levels) for factor, levels in settings.items()}
    crossed_rows = _crossed_rows(factors, settings, defaults)
    if crossed_rows.keys() & rows:
        raise EmoNetError("rows: a row has the name of a combination of factors.")
    rows = crossed_rows | rows
    if not rows:
        raise EmoNetError("the study: rows or factors is missing.")
    _check_slugs([file.name], "name")
    _check_slugs(rows, "rows")
    _check_row_names([file.reference], "reference", rows)
    _check_pairs(file.pairs)
    _check_row_names([name for pair in file.pairs for name in pair], "pairs", rows)
    _check_row_names(file.scores, "scores", rows)
    if extra := sorted(set(file.fold_seeds) - set(file.seeds)):
        raise EmoNetError(f"fold_seeds: {extra[0]} is not among the seeds.")
    datasets = _datasets(file.datasets)
    _check_slugs(datasets, "datasets")
    return Study(
        name=file.name,
        note=file.note,
        datasets=datasets,
        backbone=file.backbone,
        seeds=file.seeds,
        reference=file.reference,
        rows=rows,
        factors=factors,
        pairs=[(first, second) for first, second in file.pairs],
        folds=file.folds if file.protocol == "episodes" else 0,
        fold_seeds=file.fold_seeds or file.seeds,
        scores=file.scores,
        source=source,
    )


def _levels(source: Any, location: str, defaults: RowSettings) -> dict[str, RowSettings]:
    check_keys(source, location, source if isinstance(source, dict) else ())
    return {
        level: _row_settings(settings, f"{location}, {level!r}", defaults.preset)
        for level, settings in source.items()
    }


def _crossed_rows(
    factors: Levels, settings: Mapping[str, Mapping[str, RowSettings]], defaults: RowSettings
) -> dict[str, StudyRow]:
    rows = {}
    for name, levels in crossed(factors).items():
        chosen = [settings[factor][level] for factor, level in levels.items()]
        fields = {
            part: merged([getattr(level, part) for level in chosen], name) for part in ("config", "training")
        }
        presets = merged([{"preset": level.preset} for level in chosen if level.preset], name)
        rows[name] = _row(name, {**presets, **fields}, defaults)
    return rows


def _row(name: str, source: Any, defaults: RowSettings) -> StudyRow:
    location = f"rows, {name!r}"
    row = _row_settings(source, location)
    preset = row.preset or defaults.preset
    if preset is None:
        raise EmoNetError(
            f"{location}: no preset, neither here nor in defaults; the presets are {', '.join(ALL_PRESETS)}."
        )
    config, training = {**defaults.config, **row.config}, {**defaults.training, **row.training}
    _check_fields(config, training, preset, location)
    return StudyRow(name, preset, config, training)


def _row_settings(source: Any, location: str, default_preset: str | None = None) -> RowSettings:
    settings = read_as(RowSettings, source, location)
    preset = settings.preset or default_preset
    if preset is not None:
        _check_fields(settings.config, settings.training, preset, location)
    return settings


def _check_fields(config: Mapping[str, Any], training: Mapping[str, Any], preset: str, location: str) -> None:
    prompted = preset in PROMPTED_PRESETS
    check_values(config, f"{location}, config", PROMPT_FIELDS if prompted else CONFIG_FIELDS)
    check_keys(
        training,
        f"{location}, training",
        (*TRAINING_FIELDS, *PROMPTED_TRAINING) if prompted else TRAINING_FIELDS,
    )
    for part, values in (("config", config), ("training", training)):
        for key in values.keys() & _CHOICES.keys():
            if values[key] not in _CHOICES[key]:
                raise EmoNetError(
                    f"{location}, {part}, {key}={values[key]!r} is not one of {', '.join(_CHOICES[key])}."
                )


def _datasets(entries: Iterable[Any]) -> dict[str, str | None]:
    datasets: dict[str, str | None] = {}
    for number, source in enumerate(entries, 1):
        location = f"datasets, entry {number}"
        entry = read_as(DatasetEntry, source, location)
        if entry.name not in (*CORPORA, "sample") and not Path(entry.name).is_dir():
            raise EmoNetError(
                f"{location}, name: {entry.name!r} is neither a corpus ({', '.join([*CORPORA, 'sample'])}) "
                "nor a folder."
            )
        if entry.name in datasets:
            raise EmoNetError(f"{location}, name: {entry.name!r} is there twice.")
        datasets[entry.name] = entry.data_dir
    return datasets


def _check_pairs(pairs: Iterable[list[str]]) -> None:
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise EmoNetError(
                f"pairs: {pair!r} is not a pair of two rows, [row, row that is compared with it]."
            )


def _check_row_names(names: Iterable[str], location: str, rows: Collection[str]) -> None:
    for name in names:
        if name not in rows:
            raise EmoNetError(f"{location}: no row {name!r}; the rows are {', '.join(rows)}.")


def _check_slugs(names: Collection[str], location: str) -> None:
    """Names become folder names, which must not be empty and must differ."""
    folders: dict[str, str] = {}
    for name in names:
        folder = slug(name)
        if not folder:
            raise EmoNetError(f"{location}: {name!r} has neither a letter nor a digit.")
        if folder in folders:
            raise EmoNetError(
                f"{location}: {folders[folder]!r} and {name!r} would share the folder {folder!r}; rename one."
            )
        folders[folder] = name
