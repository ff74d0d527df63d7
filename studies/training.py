"""Train and score the cells of a study."""

import contextlib
import io
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers.utils import logging

from ..checkpoint.run_record import write_json
from ..data.collator import EncodedCorpus
from ..data.loading import primary_metric
from ..errors import EmoNetError
from ..evaluation.compare import METRIC_TITLES
from ..evaluation.packed_cells import splits_of
from ..evaluation.predictions import STUDY_KEYS, read_predictions, write_without_text
from ..evaluation.scoring import score_dialogues
from ..fine_tuning.encoding import EncodedSplit
from ..runs.evaluate import evaluate_run, evaluation_facts
from ..runs.options import TrainOptions
from ..runs.packed import PackedFamily, PackedRun
from ..runs.pipeline import record_of
from ..runs.seeds import train_seeds
from ..runs.train import train_run
from ..training.presets import PRESETS
from .cells import PREDICTIONS, RUN, TEST, VALIDATION
from .study import Cell

Outcome = tuple[str, str, bool]  # cell, figures or error, whether it failed


@dataclass(frozen=True)
class Task:
    """A cell to run.

    Attributes:
        cell: The cell.
        recipe: What it is made with, for `run.json`.
        target: The cell's folder.
        scratch: A folder on the same file system.
        episodes: Dialogue → episode; of a fold's cell, those that it tests are kept.
    """

    cell: Cell
    recipe: Mapping[str, Any]
    target: Path
    scratch: Path
    episodes: Mapping[str, str]

    @property
    def is_frozen(self) -> bool:
        """Whether the cell trains heads alone, so that other seeds share its vectors."""
        config, training = self.recipe["config"], self.recipe["training"]
        frozen = bool(config.get("freeze_backbone")) and not training.get("lora_rank")
        return frozen and self.cell.row.preset in PRESETS


def run_tasks(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Run the tasks of one group of [`grouped`], and tell each outcome."""
    if tasks[0].is_frozen:
        yield from _run_frozen(tasks)
        return
    for task in tasks:
        yield _outcome(task, run_cell)


def grouped(tasks: Sequence[Task]) -> list[list[Task]]:
    """Put the seeds of a frozen row together, of each dataset and fold."""
    groups: dict[Any, list[Task]] = {}
    for task in tasks:
        cell = task.cell
        key = (cell.dataset, cell.row.name, cell.fold) if task.is_frozen else cell.path
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def run_cell(task: Task) -> str:
    """Train and score one cell and return its figures as text.

    The cell's folder appears complete or not at all: everything is written inside the
    scratch folder, and the weights are deleted there.
    """
    cell = task.cell
    with tempfile.TemporaryDirectory(dir=task.scratch) as temporary:
        run = Path(temporary, "run")
        with _quiet():
            record = train_run(cell.dataset, run, **_options(task))
            predictions = run / PREDICTIONS["test"].removesuffix(".gz")
            metrics = evaluate_run(
                run,
                cell.dataset,
                data_dir=cell.data_dir,
                fold=cell.fold,
                predictions=predictions,
                dtype=task.recipe["dtype"],
                progress=False,
            )
        rows = {
            split: read_predictions(run / PREDICTIONS[split].removesuffix(".gz"))
            for split in splits_of(cell.path)
        }
        shutil.copy(run / VALIDATION, temporary)
        return _write(task, Path(temporary), record, metrics, rows)


def _options(task: Task) -> dict[str, Any]:
    """How a cell is trained, as fields of [`TrainOptions`]."""
    cell = task.cell
    return {
        "data_dir": cell.data_dir,
        "fold": cell.fold,
        "preset": cell.row.preset,
        "backbone": cell.backbone,
        "seed": cell.seed,
        "config_overrides": cell.row.config,
        "training_overrides": cell.row.training,
        "dtype": task.recipe["dtype"],
        "progress": False,
        "calibrate": False,  # the report shows scores with and without
    }


def _run_frozen(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Run the seeds of a frozen row: corpus, backbone and vectors are read once."""
    cell, dtype = tasks[0].cell, tasks[0].recipe["dtype"]
    with tempfile.TemporaryDirectory(dir=tasks[0].scratch) as temporary:
        options = TrainOptions(dataset=cell.dataset, output_dir=Path(temporary, "run"), **_options(tasks[0]))
        started = time.perf_counter()
        try:
            with _quiet():
                run = PackedFamily().prepare(options)
                processor, conversations = (
                    run.corpus.processor,
                    options.load(
                        history_window=run.model.config.memory_window,
                        history_scope=run.model.config.speaker_memory,
                    ),
                )
                test = EncodedCorpus(conversations.restricted_to(("test",)), processor)
                test.cache_features(run.model, progress=False, dtype=dtype)
        except Exception as error:  # of every seed alike
            yield from ((task.cell.path, _reason(error), True) for task in tasks)
            return
        shared = round((time.perf_counter() - started) / len(tasks), 1)
        for task in tasks:
            yield _outcome(task, lambda task: _run_seed(task, run, test["test"], shared))


def _run_seed(task: Task, prepared: PackedRun, test: EncodedSplit, shared: float) -> str:
    """Train and score one seed of a prepared frozen run; only its results are written."""
    started = time.perf_counter()
    corpus, version = prepared.corpus, prepared.model.config.dataset_version
    assert version is not None
    with tempfile.TemporaryDirectory(dir=task.scratch) as temporary:
        folder = Path(temporary)
        with _quiet():
            (trainer,) = train_seeds(
                prepared.model,
                corpus["train"],
                corpus["validation"],
                prepared.settings["training"],
                [task.cell.seed],
                folder / "run",
                dtype=task.recipe["dtype"],
            )
            options = replace(prepared.options, seed=task.cell.seed)
            run = replace(prepared, options=options, trainer=trainer, facts={**prepared.facts})
            run.facts |= run.adjust()
            record = record_of(run, prepare=shared, train=round(time.perf_counter() - started, 1))
            scored = {
                split: score_dialogues(corpus.processor, found.dialogues, found.labels, found.logits)
                for split, found in (("validation", run.score()), ("test", run.score(test)))
            }
        metrics, rows = scored["validation"]
        write_json(folder / VALIDATION, {"split": "validation", **metrics, "dataset_version": version})
        metrics, rows = scored["test"]
        metrics |= evaluation_facts(run.model.config, version, "test", rows)
        metrics["dtype"] = task.recipe["dtype"]
        kept = {split: scored[split][1] for split in splits_of(task.cell.path)}
        return _write(task, folder, record, metrics, kept)


def _write(
    task: Task,
    folder: Path,
    record: Mapping[str, Any],
    metrics: dict[str, Any],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Write a cell's folder; `folder` holds its validation figures.

    Returns:
        Its figures as text.
    """
    ready = folder / "cell"
    ready.mkdir()
    write_json(ready / RUN, {**record, "cell": task.recipe})
    shutil.copy(folder / VALIDATION, ready / VALIDATION)
    for split, found in rows.items():
        write_without_text(ready / PREDICTIONS[split], (_kept(task.cell, row) for row in found))
    if task.cell.fold:
        tested = dict.fromkeys(row["dialogue_id"] for row in rows["test"])
        metrics = {**metrics, "episodes": {dialogue: task.episodes[dialogue] for dialogue in tested}}
    write_json(ready / TEST, metrics)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    ready.rename(task.target)
    seconds = sum(record["seconds"].values())
    metric = primary_metric(metrics["dataset_version"])
    return f"{METRIC_TITLES[metric]} {100 * metrics[metric]:.2f} on test, {seconds:.0f} s"


def _kept(cell: Cell, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a study keeps of a predicted turn.

    The user's own columns, which may be texts, stay out. Folds score every turn of the
    corpus, so their probabilities have two decimals.
    """
    kept = {key: row[key] for key in STUDY_KEYS}
    if not cell.keeps_scores:
        kept["scores"] = None
    elif cell.fold:
        kept["scores"] = {label: round(score, 2) for label, score in row["scores"].items()}
    return kept


def _outcome(task: Task, run: Callable[[Task], str]) -> Outcome:
    try:
        return task.cell.path, run(task), False
    except Exception as error:
        return task.cell.path, _reason(error), True


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EmoNetError) else "".join(traceback.format_exception(error))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the log that Trainer prints without a bar, and transformers' own bars."""
    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        if enabled:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
