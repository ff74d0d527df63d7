"""Runs of the prompted read-out: from a preset and a corpus to a folder, and from a folder to figures."""

import json
from pathlib import Path
from typing import Any

from ...checkpoint.run_record import RUN_FILE
from ...data import Conversations, load_conversations
from ...errors import EmoNetError
from ...evaluation.scoring import score_dialogues
from ...prompted.configuration import PromptSettings
from ...speakers.biographies.choose import biographer_for
from ...speakers.biographies.of_dialogue import DialogueBiographer
from .presets import PROMPTED_PRESETS, PROMPTED_TRAINING, preset_settings
from .trainer import PromptedSplit, predict_split, train_prompted
from .trajectory import EmotionRecord


def check_packed(
    preset: str, config: dict[str, Any] | None, training: dict[str, Any] | None, **options: Any
) -> None:
    """Refuse what only prompts have where a packed preset is trained, which would not read it."""
    alien = [
        *(set(config or {}) & set(PromptSettings.__dataclass_fields__)),
        *(set(PROMPTED_TRAINING) & set(training or {})),
    ]
    alien += [name for name, value in options.items() if value]
    if alien:
        raise EmoNetError(
            f"{preset!r} takes no {alien[0]}, which is for prompted presets: {', '.join(PROMPTED_PRESETS)}."
        )


def train_prompted_run(
    dataset: str,
    output_dir: str | Path,
    *,
    data_dir: str | None = None,
    preset: str = "emonet-lm-prompted",
    backbone: str = "smollm2",
    seed: int = 1,
    config_overrides: dict[str, Any] | None = None,
    training_overrides: dict[str, Any] | None = None,
    store: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a prompted preset on a corpus and write its run folder, as `train_run` does. The test split is not read.

    Args:
        config_overrides: Fields of [`PromptSettings`]. store: See [`biographer_for`]. options: Of [`train_prompted`].

    Returns:
        The content of `run.json`.
    """
    settings = preset_settings(preset, config_overrides)
    conversations = _load(dataset, data_dir, settings)
    for split in ("train", "validation"):
        if split not in conversations:
            raise EmoNetError(f"{dataset!r} has no {split} split: training needs train and validation files.")
    biographer = biographer_for(settings, conversations.restricted_to(["train", "validation"]), store)
    training = {**PROMPTED_PRESETS[preset].training, **(training_overrides or {})}
    train_prompted(
        conversations,
        backbone,
        output_dir,
        settings,
        biographer=biographer,
        seed=seed,
        preset=preset,
        **options,
        **training,
    )
    return json.loads(Path(output_dir, RUN_FILE).read_text("utf-8"))


def evaluate_prompted(
    model: Any,
    dataset: str,
    data_dir: str | None,
    split: str,
    store: str | Path | None = None,
    progress: bool = False,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures and prediction rows of a prompted model on a split.

    A turn's biographies are written anew from what the turn may see; trajectories are the model's own predictions, and training
    labels.
    """
    settings = model.config.prompt_settings
    conversations = _load(dataset, data_dir, settings, model.labels)
    if split not in conversations:
        raise EmoNetError(f"{dataset!r} has no split {split!r}; it has {', '.join(conversations)}.")
    if conversations.labels != model.labels:
        raise EmoNetError(
            f"The model's labels {model.labels} are not those of {dataset!r}: {conversations.labels}."
        )
    visible = [name for name in ("train", split) if name in conversations]
    biographer = biographer_for(
        settings, conversations.restricted_to(visible), store, list(model.processor.speakers)
    )
    if isinstance(biographer, DialogueBiographer):
        model.processor.be_told_by(biographer)
    record = EmotionRecord(
        conversations.get("train", ()), conversations.utterance_texts(), conversations.labels
    )
    turns = PromptedSplit(split, conversations[split], model, record, biographer)
    scores, reader = predict_split(model, turns, progress)
    metrics, rows = score_dialogues(
        model.processor, turns.dialogues, turns.labels(), turns.by_dialogue(scores)
    )
    metrics.update(dataset_version=conversations.dataset_version, split=split)
    metrics["tokens"] = {"prompts": reader.tokens, "computed": reader.computed}
    return metrics, rows


def _load(
    dataset: str, data_dir: str | None, settings: PromptSettings, labels: list[str] | None = None
) -> Conversations:
    return load_conversations(
        dataset,
        data_dir,
        history_window=max(1, settings.trajectory),
        history_scope="corpus" if settings.trajectory else "none",
        labels=labels,
    )
