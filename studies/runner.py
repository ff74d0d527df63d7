"""Run a study: train and score each cell once, in several processes.

A kill at any time loses only the cells that are running.
"""

import contextlib
import copy
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from ..backbones.embedded import resolve_backbone
from ..checkpoint.integrity import config_of
from ..checkpoint.run_record import write_json
from ..configuration_emonet import EmoNetConfig, is_decoder_type
from ..constants import AUTO
from ..data import Conversations, load_conversations
from ..data.folds import Fold
from ..data.schema import SPLITS
from ..errors import EmoNetError
from ..prompted.configuration import PromptedEmoNetConfig
from ..runs.prompted.presets import PROMPTED_PRESETS, PROMPTED_TRAINING
from ..training.arguments import EmoNetTrainingArguments
from .cells import check_folds, matching, read_cell, recipe_of, study_dtype
from .packing import drop_cells, pack_study
from .study import STUDY_FILE, Cell, Study, slug
from .training import Outcome, Task, grouped, run_tasks

_RUNNING = ".running"  # folder in the results with the running cells and the lock


def run_study(
    study: Study,
    output_dir: str | Path,
    *,
    jobs: int = 1,
    fresh: Sequence[str] = (),
    only: Sequence[str] = (),
    dtype: str = AUTO,
    progress: bool = True,
) -> dict[str, str]:
    """Run the cells that are not finished yet, as [`read_cell`] finds them.

    Everything is checked before the first training: the rows against the backbone, the
    datasets, and the finished cells. During the run each cell has a folder; at the end
    all cells are packed into two files.

    Args:
        study: The study.
        output_dir: Its results folder.
        jobs: Number of processes; they share the cores.
        fresh: Patterns of cells to delete and run again (`emorynlp/context`, `*/seed-3`).
        only: Patterns of cells to run; the others are left alone.
        dtype: What is computed in, one of `DTYPES`. With `auto`, that of the finished
            cells, and in a new study the one that is fastest here.
        progress: Whether to show a progress bar.

    Returns:
        Cell → reason for the cells that failed; the others are finished.

    Raises:
        EmoNetError: if a check fails before the run, or a worker is killed.
    """
    root = Path(output_dir)
    if jobs < 1:
        raise EmoNetError(f"jobs={jobs} must be at least 1.")
    cells = matching(study.cells(), only) if only else study.cells()
    renewed = matching(cells, fresh) if fresh else []
    with _locked(root) as scratch:
        check_folds(root, study)
        datasets = {cell.dataset: cell for cell in cells}
        corpora = {name: _corpus(cell) for name, cell in datasets.items()}
        cells = [cell for cell in cells if cell.fold or _has_splits(cell, corpora[cell.dataset], study)]
        with_folds = {cell.dataset: cell for cell in cells if cell.fold}
        episodes = {name: _episodes(cell) for name, cell in with_folds.items()}
        kept = [cell.path for cell in study.cells() if cell not in renewed]
        recipes = _recipes(study, cells, corpora, study_dtype(root, kept, dtype))
        drop_cells(root, [cell.path for cell in renewed])
        for cell in renewed:
            _remove(root / cell.path, scratch)
        done = [cell for cell in cells if read_cell(root, cell, recipes[cell.path])]
        write_json(root / STUDY_FILE, study.source)
        for dataset, corpus in corpora.items():
            folder = root / slug(dataset)
            folder.mkdir(exist_ok=True)
            corpus.speakers.save(folder)
        tasks = [
            Task(cell, recipes[cell.path], root / cell.path, scratch, episodes.get(cell.dataset, {}))
            for cell in cells
            if cell not in done
        ]
        failures: dict[str, str] = {}
        with tqdm(total=len(cells), initial=len(done), desc="cells", disable=not progress) as bar:
            for path, outcome, failed in _outcomes(grouped(tasks), jobs):
                tqdm.write(f"{path}: {outcome}", file=sys.stderr)
                bar.update()
                if failed:
                    failures[path] = outcome.strip().splitlines()[-1]
        if len(failures) < len(cells):
            pack_study(root)
    return failures


def _outcomes(groups: Sequence[Sequence[Task]], jobs: int) -> Iterator[Outcome]:
    """The outcome of each task, as they finish."""
    if jobs == 1:
        for group in groups:
            yield from run_tasks(group)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        min(jobs, len(groups) or 1),
        multiprocessing.get_context("spawn"),
        initializer=_set_up_worker,
        initargs=(threads,),
    ) as pool:
        futures: list[Future[list[Outcome]]] = [pool.submit(_run_group, group) for group in groups]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException as error:  # Ctrl-C too: do not wait for running cells
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise EmoNetError(
                    f"One of the {jobs} processes was killed, perhaps for lack of memory. Run the same "
                    "command again with fewer --jobs: finished cells are kept."
                ) from error
            raise


def _run_group(group: Sequence[Task]) -> list[Outcome]:
    return list(run_tasks(group))


def _set_up_worker(threads: int) -> None:
    """Set a worker's threads; it leaves Ctrl-C to its parent and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _recipes(
    study: Study, cells: Iterable[Cell], corpora: Mapping[str, Conversations], dtype: str
) -> dict[str, dict[str, Any]]:
    """Path → recipe of each cell, with each row checked against the backbone."""
    text_config = config_of(resolve_backbone(study.backbone))
    kind = is_decoder_type(text_config.model_type), text_config.num_hidden_layers
    recipes = {}
    for cell in cells:
        version = corpora[cell.dataset].dataset_version + (cell.fold.version if cell.fold else "")
        recipes[cell.path] = recipe_of(cell, version, *kind, dtype)
    for cell in {cell.row.name: cell for cell in cells}.values():
        fields, training = (recipes[cell.path][part] for part in ("config", "training"))
        try:
            if cell.row.preset in PROMPTED_PRESETS:
                PromptedEmoNetConfig(text_config=copy.deepcopy(text_config), prompts=fields)
                training = {name: value for name, value in training.items() if name not in PROMPTED_TRAINING}
            else:
                EmoNetConfig(text_config=copy.deepcopy(text_config), **fields)
            EmoNetTrainingArguments(seed=cell.seed, **training)
        except (TypeError, ValueError) as error:
            raise EmoNetError(f"Row {cell.row.name!r} on {study.backbone}: {error}") from error
    return recipes


def _corpus(cell: Cell) -> Conversations:
    return load_conversations(cell.dataset, cell.data_dir, history_scope="none")


def _has_splits(cell: Cell, corpus: Conversations, study: Study) -> bool:
    """Whether a dataset has a public test set; only folds of episodes do without."""
    for split in SPLITS:
        if split not in corpus:
            if study.folds:
                return False
            raise EmoNetError(
                f"{cell.dataset!r} has no {split} split, which a study needs; it has {', '.join(corpus)}."
            )
    return True


def _episodes(cell: Cell) -> dict[str, str]:
    """Map each dialogue of a cell's dataset to its episode."""
    assert cell.fold is not None
    fold = Fold(0, cell.fold.count)  # any fold has all dialogues
    corpus = load_conversations(cell.dataset, cell.data_dir, history_scope="none", fold=fold)
    return {row["dialogue_id"]: row["episode"] for split in corpus.values() for row in split}


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[Path]:
    """Lock a results folder and give an empty scratch folder inside it."""
    scratch = root / _RUNNING
    scratch.mkdir(parents=True, exist_ok=True)
    lock = FileLock(scratch / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EmoNetError(f"Another `emonet study` is running in {root}: wait for it, or stop it.") from error
    try:
        for leftover in scratch.iterdir():  # of a killed run
            if leftover.is_dir():
                shutil.rmtree(leftover)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        lock.release()


def _remove(folder: Path, scratch: Path) -> None:
    """Move the folder away before deleting it, so that no partial cell is left."""
    if folder.exists():
        shutil.rmtree(folder.rename(Path(tempfile.mkdtemp(dir=scratch)) / "old"))
