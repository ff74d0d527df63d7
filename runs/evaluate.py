"""Score a checkpoint on a split of a corpus."""

import os
from pathlib import Path
from typing import Any

from ..checkpoint.run_record import write_json
from ..engines.load import load_engine
from ..errors import EmoNetError
from ..evaluation.report import write_predictions
from ..evaluation.scoring import score_dialogues
from ..hub.card import write_card
from ..prompted.modeling import PromptedEmoNet
from .families import Family
from .options import EvaluateOptions
from .packed import PackedFamily
from .prompted.family import PromptedFamily


def evaluate_run(checkpoint: str | Path, dataset: str, **options: Any) -> dict[str, Any]:
    """Score a checkpoint on a split.

    Args:
        checkpoint: As [`load_engine`] takes it.
        dataset: Name of a corpus, or a file or folder.
        options: The other fields of [`EvaluateOptions`].

    Returns:
        `emotion_metrics` with `ece`, `dataset_version`, `split`, `trained_on`, `causal`,
        and of a prompted model the `tokens` read.

    Raises:
        EmoNetError: for a checkpoint that does not load, or a corpus without the split or
            the model's labels.
    """
    asked = EvaluateOptions(dataset=dataset, **options)
    model, processor = load_engine(checkpoint, asked.engine, asked.load_in_4bit)
    config = model.config
    family: Family = PromptedFamily() if isinstance(model, PromptedEmoNet) else PackedFamily()
    conversations = family.load(dataset, asked.data_dir, config)
    if asked.split not in conversations:
        raise EmoNetError(f"{dataset!r} has no split {asked.split!r}; it has {', '.join(conversations)}.")
    labels, found = config.label_names, conversations.labels
    if found != labels:
        raise EmoNetError(f"The model's labels {labels} are not those of {dataset!r}: {found}.")
    scored = family.score(model, processor, conversations, asked)
    metrics, rows = score_dialogues(processor, scored.dialogues, scored.labels, scored.logits)
    metrics |= {"dataset_version": conversations.dataset_version, "split": asked.split, **scored.facts}
    metrics |= {"trained_on": config.dataset_version, "causal": config.causal}
    if asked.predictions is not None:
        write_predictions(asked.predictions, rows)
    return metrics


def add_to_run(folder: Path, metrics: dict[str, Any]) -> None:
    """Keep a split's figures in the run's folder, as `<split>_metrics.json`, and update
    its card.

    Figures on another corpus than the one it was trained on are not the run's, and a
    folder may be
    read-only: then nothing is kept.
    """
    if metrics["dataset_version"] == metrics["trained_on"] and os.access(folder, os.W_OK):
        write_json(folder / f"{metrics['split']}_metrics.json", metrics)
        write_card(folder)
