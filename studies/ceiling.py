"""Measure what a speaker, a scene or an episode can tell about a turn's emotion, at most.

To the log-probabilities of a row's models, each of which saw nothing of a turn's episode,
the distribution of the annotated emotions of other turns is added: of the same speaker,
scene or episode. No system knows these labels. What they are worth limits what knowledge
of the speaker can bring.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checkpoint.run_record import write_json
from ..data import Conversations, load_conversations
from ..data.loading import primary_metric
from ..errors import EmoNetError
from ..evaluation.compare import METRIC_TITLES
from ..evaluation.evidence import FloatArray, group_ids, label_counts, with_evidence
from ..evaluation.metrics import neutral_ids
from ..evaluation.packed_cells import fold_of
from ..evaluation.pictures import save_picture
from ..evaluation.predictions import turn_key
from ..evaluation.significance import (
    RESAMPLES,
    Comparison,
    Interval,
    bootstrap_interval,
    compare_counts,
    dialogue_counts,
)
from ..training.logit_adjustment import fit_class_bias
from .cells import FinishedCell, cell_paths, stored_cell
from .document import Block, Heading, Picture, Table, Text, as_markdown
from .plots import BLUE, GREY, ORANGE
from .pooling import pooled
from .study import STUDY_FILE, read_study, slug
from .table import with_interval

SOURCES = (
    "the speaker, whole corpus",
    "the speaker in this episode",
    "the speaker in this dialogue",
    "anybody in this dialogue",
    "anybody in this episode",
)
_FLOOR = 0.005  # half of the smallest probability that two decimals can hold
_RESAMPLES_OF_BIAS = 5


@dataclass(frozen=True)
class CeilingRow:
    """What the labels of one source are worth.

    Attributes:
        source: Whose labels, one of `SOURCES`.
        causal: Whether earlier turns alone are known.
        score: The metric with its interval over episodes.
        gain: The difference from the row without labels.
    """

    source: str
    causal: bool
    score: Interval
    gain: Comparison


@dataclass(frozen=True)
class Ceiling:
    """The result of [`measure_ceiling`]; `base` is the score without labels."""

    dataset_version: str
    row: str
    seeds: list[int]
    base: Interval
    rows: list[CeilingRow]


@dataclass(frozen=True)
class _Turns:
    """The annotated turns of a corpus in order of time, as columns (N,)."""

    keys: list[tuple[str, int]]
    gold: npt.NDArray[np.intp]
    folds: npt.NDArray[np.intp]
    speakers: list[str]
    dialogues: list[str]
    episodes: list[str]

    def groups(self, source: str) -> npt.NDArray[np.intp]:
        """The turns that a source speaks of: equal numbers are one group."""
        columns: dict[str, tuple[Sequence[str], ...]] = {
            SOURCES[0]: (self.speakers,),
            SOURCES[1]: (self.speakers, self.episodes),
            SOURCES[2]: (self.speakers, self.dialogues),
            SOURCES[3]: (self.dialogues,),
            SOURCES[4]: (self.episodes,),
        }
        return group_ids(*columns[source])


def measure_ceiling(row: str | Path, resamples: int = RESAMPLES) -> Ceiling:
    """Measure the ceiling from the episode folds of a study's row.

    Strength and weight of the labels, and the bias of each class, are fitted to the other
    folds. A role such as `The Waiter` is another person in each dialogue.

    Args:
        row: The row's folder in the study's results: `RESULTS/DATASET/ROW`.
        resamples: Of the bootstrap and the permutation test.

    Raises:
        EmoNetError: if the row has no finished seed of episode folds with probabilities.
    """
    root, dataset, name = Path(row).parent.parent, Path(row).parent.name, Path(row).name
    cells = _cells(root, f"{dataset}/{name}")
    first = next(iter(cells.values()))
    corpus, version = _corpus(root, dataset), first[0].test["dataset_version"]
    labels = list(first[0].test["per_class"])
    turns = _turns(first, corpus, labels)
    logits = [_logits(folds, turns, labels) for folds in cells.values()]
    metric, neutral = primary_metric(version), neutral_ids(labels)

    def scored(counts: FloatArray | None) -> npt.NDArray[Any]:
        """Confusions (S, E, C, C) of all seeds by episode."""
        found = []
        for of_seed in logits:
            sums = of_seed if counts is None else with_evidence(of_seed, turns.gold, turns.folds, counts)
            guesses = _with_bias(sums, turns, metric, neutral).argmax(-1)
            found.append(dialogue_counts(turns.gold, guesses, turns.episodes, len(labels)))
        return np.stack(found)

    base = scored(None)
    options: dict[str, Any] = {"metric": metric, "neutral": neutral, "resamples": resamples}
    rows = []
    for source in SOURCES:
        for causal in (False, True):
            counts = scored(label_counts(turns.gold, turns.groups(source), len(labels), causal))
            gain = compare_counts(base, counts, **options)
            rows.append(CeilingRow(source, causal, bootstrap_interval(counts, **options), gain))
    return Ceiling(version, name, list(cells), bootstrap_interval(base, **options), rows)


def write_ceiling(ceiling: Ceiling, output_dir: Path) -> Path:
    """Write `ceiling.json`, `ceiling.md` and `ceiling.png`; returns the Markdown file."""
    output_dir.mkdir(parents=True, exist_ok=True)
    write_json(output_dir / "ceiling.json", _as_json(ceiling))
    _plot(output_dir / "ceiling.png", ceiling)
    base, title = ceiling.base, METRIC_TITLES[ceiling.base.metric]
    lines = []
    for source in SOURCES:
        found = [row for row in ceiling.rows if row.source == source]
        lines.append([source, *(f"{100 * row.score.value:.2f} ({with_interval(row.gain)})" for row in found)])
    blocks: list[Block] = [
        Heading(1, "What the labels of others can tell, at most"),
        Text(
            f"`{ceiling.dataset_version}`, row “{ceiling.row}”, seeds {', '.join(map(str, ceiling.seeds))}: "
            f"{title} in percent over {base.n_turns:,} turns, each scored by a model that saw nothing of its "
            f"episode. Without labels: {100 * base.value:.2f} [{100 * base.low:.2f}, {100 * base.high:.2f}]. "
            "In parentheses, the difference from that with its 95 % interval over "
            f"{base.n_dialogues} episodes."
        ),
        Table(["annotated emotions of", "all other turns", "earlier turns only"], lines),
        Picture("ceiling.png", f"Points of {title} that the labels bring, with 95 % intervals."),
    ]
    file = output_dir / "ceiling.md"
    file.write_text(as_markdown(blocks), "utf-8")
    return file


def _cells(root: Path, row: str) -> dict[int, list[FinishedCell]]:
    """Seed → the cells of all its folds."""
    by_seed: dict[int, list[FinishedCell]] = {}
    for path in cell_paths(root):
        if path.rpartition("/")[0] != row or fold_of(path) is None:
            continue
        if (cell := stored_cell(root, path)) and cell not in by_seed.get(cell.run["seed"], []):
            by_seed.setdefault(cell.run["seed"], []).append(cell)
    whole = {
        seed: cells
        for seed, cells in sorted(by_seed.items())
        if all(len(cells) == (fold_of(cell.folder.name) or (0, 0))[1] for cell in cells)
    }
    if not whole:
        raise EmoNetError(
            f"{root / row}: no seed of this row has all its episode folds. `emonet study STUDY --protocol "
            f"episodes --output-dir {root}` makes them."
        )
    for cells in whole.values():
        pooled(cells)  # refuses folds that test the same dialogue
        if any(not row["scores"] for cell in cells for row in cell.predictions()[:1]):
            raise EmoNetError(
                f"{root / row}: the folds keep no probabilities. Name the row under 'scores' in the study, "
                f"and run it again with --fresh '{row}'."
            )
    return whole


def _corpus(root: Path, dataset: str) -> Conversations:
    """The corpus of a study's dataset, which tells the order of time."""
    study = read_study(root / STUDY_FILE)
    for name, data_dir in study.datasets.items():
        if slug(name) == dataset:
            return load_conversations(name, data_dir, history_scope="none")
    raise EmoNetError(f"{root / STUDY_FILE}: the study has no dataset {dataset!r}.")


def _turns(cells: Sequence[FinishedCell], corpus: Conversations, labels: Sequence[str]) -> _Turns:
    times = {
        (row["dialogue_id"], index): turn["utterance_index"]
        for split in corpus.values()
        for row in split
        for index, turn in enumerate(row["turns"])
    }
    found = [
        (times.get(turn_key(row), -1), row, cell)
        for cell in cells
        for row in cell.predictions()
        if row["emotion"] is not None
    ]
    if any(time < 0 for time, _, _ in found):
        raise EmoNetError("The study's dataset has changed: it lacks dialogues that were scored.")
    found.sort(key=lambda item: item[0])
    rows = [row for _, row, _ in found]
    identity = corpus.speaker_kinds.identity
    return _Turns(
        keys=[turn_key(row) for row in rows],
        gold=np.array([labels.index(row["emotion"]) for row in rows]),
        folds=np.array([(fold_of(cell.folder.name) or (0, 0))[0] for _, _, cell in found]),
        speakers=[identity(row["speaker"], row["dialogue_id"]) for row in rows],
        dialogues=[row["dialogue_id"] for row in rows],
        episodes=[cell.test["episodes"][row["dialogue_id"]] for _, row, cell in found],
    )


def _logits(cells: Sequence[FinishedCell], turns: _Turns, labels: Sequence[str]) -> FloatArray:
    """Log-probabilities (N, C) of a seed, in the order of `turns`."""
    scores = {
        turn_key(row): [row["scores"][label] for label in labels]
        for cell in cells
        for row in cell.predictions()
    }
    if not all(key in scores for key in turns.keys):
        raise EmoNetError("The seeds were scored on different turns: run the study again.")
    logits: FloatArray = np.log(np.maximum([scores[key] for key in turns.keys], _FLOOR))
    return logits


def _with_bias(logits: FloatArray, turns: _Turns, metric: str, neutral: Sequence[int]) -> FloatArray:
    """Add to each fold the class bias that is best for the others."""
    result = np.empty_like(logits)
    dialogues = group_ids(turns.dialogues)
    for fold in np.unique(turns.folds):
        others, own = turns.folds != fold, turns.folds == fold
        bias = fit_class_bias(
            logits[others],
            turns.gold[others],
            dialogues[others],
            resamples=_RESAMPLES_OF_BIAS,
            metric=metric,
            neutral=neutral,
        )
        result[own] = logits[own] + bias
    return result


def _as_json(ceiling: Ceiling) -> dict[str, Any]:
    base = ceiling.base
    rows = [
        {
            "labels_of": row.source,
            "turns": "earlier" if row.causal else "all others",
            base.metric: row.score.value,
            "interval": [row.score.low, row.score.high],
            "gain": row.gain.difference,
            "gain_interval": [row.gain.low, row.gain.high],
            "p_permutation": row.gain.p_permutation,
        }
        for row in ceiling.rows
    ]
    return {
        "dataset_version": ceiling.dataset_version,
        "row": ceiling.row,
        "seeds": ceiling.seeds,
        "n_turns": base.n_turns,
        "n_episodes": base.n_dialogues,
        "resampled": "episodes",
        "without_labels": {base.metric: base.value, "interval": [base.low, base.high]},
        "rows": rows,
    }


def _plot(path: Path, ceiling: Ceiling) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=1)
    for causal, colour, shift in ((False, BLUE, -0.14), (True, ORANGE, 0.14)):
        found = [row.gain for row in ceiling.rows if row.causal is causal]
        places = [index + shift for index in range(len(found))]
        axes.hlines(
            places,
            [100 * gain.low for gain in found],
            [100 * gain.high for gain in found],
            color=colour,
            linewidth=1.8,
        )
        label = "earlier turns only" if causal else "all other turns"
        values = [100 * gain.difference for gain in found]
        axes.plot(values, places, "o", color=colour, markersize=6, label=label)
    axes.set_yticks(range(len(SOURCES)), SOURCES)
    axes.set_ylim(len(SOURCES) - 0.5, -0.5)
    axes.grid(axis="x", color="#E5E5E5")
    axes.set_axisbelow(True)
    axes.set(
        xlabel=f"points of {METRIC_TITLES[ceiling.base.metric]} that annotated emotions of other turns add",
        title=f"{ceiling.dataset_version}: what the labels of others can tell, at most",
    )
    axes.legend(fontsize=9)
    save_picture(figure, path, 100)
