"""Score a checkpoint on a split of a corpus."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.run_record import RUN_FILE, write_json
from ..constants import NO_LABEL
from ..dialogue.names import RULES, Speakers
from ..engines.load import load_engine
from ..engines.precision import dtype_for
from ..errors import EmoNetError
from ..evaluation.scoring import score_dialogues
from ..files.guard import read_json
from ..hub.card import write_card
from ..pretrained.models import built_in_path
from ..prompted.modeling import PromptedEmoNet
from .families import Family, ScoredSplit, check_labelled
from .known_labels import checked_known, known_version
from .options import EvaluateOptions
from .packed import PackedFamily
from .predictions_file import PredictionsFile
from .prompted.family import PromptedFamily


def evaluate_run(checkpoint: str | Path, dataset: str, **options: Any) -> dict[str, Any]:
    """Score a checkpoint on a split.

    Args:
        checkpoint: As in [`load_engine`].
        dataset: Name of a corpus, or a file or folder.
        options: The other fields of [`EvaluateOptions`].

    Returns:
        `emotion_metrics` with `ece`, `dataset_version`, `split`, `trained_on`, `causal`,
        `dtype` of the torch engine, `known_labels` and `given_turns` with
        `options.known_labels`, which `dataset_version` tells too, `unlabelled_turns`
        where there are any, and for a prompted model the number of `tokens` read.

    Raises:
        EmoNetError: If the checkpoint does not load or has learnt from no label, or the
            corpus lacks the split, has no label in it, or other labels than the model.
    """
    evaluation = EvaluateOptions(dataset=dataset, **options)
    checkpoint = built_in_path(str(checkpoint))
    output = None if evaluation.predictions is None else PredictionsFile(evaluation)
    model, processor = load_engine(checkpoint, evaluation.engine, evaluation.load_in_4bit)
    config = model.config
    checked_known(evaluation.known_labels, config)
    if evaluation.engine == "torch":
        evaluation = replace(evaluation, dtype=dtype_for(model, evaluation.dtype))
    family: Family[Any, Any] = PromptedFamily() if isinstance(model, PromptedEmoNet) else PackedFamily()
    _check_trained(Path(checkpoint))
    if evaluation.speakers is None:
        evaluation = replace(evaluation, speakers=_speakers_in_training(checkpoint, config))
    conversations = family.load(evaluation, config)
    if evaluation.split not in conversations:
        raise EmoNetError(
            f"{dataset!r} has no split {evaluation.split!r}; it has {', '.join(conversations)}."
        )
    if conversations.labels != config.label_names:
        raise EmoNetError(
            f"The model's labels {config.label_names} are not those of {dataset!r}: "
            f"{conversations.labels}; evaluate on a corpus with the model's labels."
        )
    check_labelled(conversations, dataset, evaluation.split)
    scored = family.score(model, processor, conversations, evaluation)
    version, gold = conversations.dataset_version, scored.labels
    if evaluation.known_labels is not None:
        version += known_version(evaluation.known_labels, evaluation.known_seed)
    if scored.given is not None:
        gold = np.where(scored.given, NO_LABEL, gold)
    metrics, rows = score_dialogues(processor, scored.dialogues, gold, scored.logits)
    if scored.given is not None:
        rows = _with_source(rows, scored, config.label_names)
    metrics |= scored.facts | evaluation_facts(config, version, evaluation.split, rows)
    if evaluation.engine == "torch":
        metrics["dtype"] = evaluation.dtype
    if output is not None:
        output.write(rows)
    return metrics


def _with_source(
    rows: Sequence[dict[str, Any]], scored: ScoredSplit, label_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Say which labels were given; those turns were not scored."""
    assert scored.given is not None
    found = []
    for row, label, given in zip(rows, scored.labels, scored.given, strict=True):
        if given:
            scores = {name: float(index == label) for index, name in enumerate(label_names)}
            row = {**row, "emotion": label_names[label], "predicted": label_names[label], "scores": scores}
        found.append({**row, "source": "given" if given else "predicted"})
    return found


def evaluation_facts(
    config: Any, dataset_version: str, split: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the metrics of an evaluation say beside its figures.

    Args:
        config: The model's configuration.
        dataset_version: The corpus that was scored.
        split: The split that was scored.
        rows: Its predictions.
    """
    facts = {"dataset_version": dataset_version, "split": split}
    facts |= {"trained_on": config.dataset_version, "causal": config.causal}
    unlabelled = sum(row["emotion"] is None for row in rows)
    return facts | ({"unlabelled_turns": unlabelled} if unlabelled else {})


def _check_trained(folder: Path) -> None:
    """Refuse a run folder whose training saw no label: its figures would mean nothing."""
    run = read_json(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}
    if not isinstance(run, dict):
        return
    labelled = run.get("labelled_turns", {})
    # Before labels were counted, such a training showed by its loss, which was exactly 0.
    if (labelled.get("train") if labelled else run.get("train_loss")) == 0:
        raise EmoNetError(
            f"{folder}: the model was trained on no labelled turn, so there is nothing to evaluate; train it "
            "on turns with an emotion."
        )


def _speakers_in_training(checkpoint: str | Path, config: Any) -> Speakers:
    """Return who was taken for a person in training, from the run's record or version."""
    record = Path(checkpoint, RUN_FILE)
    if record.is_file() and (recorded := read_json(record).get("speakers")):
        speakers: Speakers = recorded
        return speakers
    suffixes = str(config.dataset_version).split("+")[1:]
    if any(suffix.startswith("persons.") for suffix in suffixes):
        raise EmoNetError(
            f"{checkpoint} was trained with persons that were named, and has no {RUN_FILE}: name them with "
            "--speakers."
        )
    return next((suffix for suffix in suffixes if suffix in RULES), "auto")


def add_to_run(folder: Path, metrics: dict[str, Any]) -> None:
    """Write `<split>_metrics.json` to the run folder, and update its card.

    Writes nothing if the metrics are of another corpus than the one the model was trained
    on, or if the folder is read-only.
    """
    if metrics["dataset_version"] == metrics["trained_on"] and os.access(folder, os.W_OK):
        write_json(folder / f"{metrics['split']}_metrics.json", metrics)
        write_card(folder)
