"""Runs of prompted models, which answer one prompt per turn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ...adapters.four_bit import four_bits, on_whole_weights
from ...adapters.lora import LoraSettings, add_adapters
from ...data import Conversations
from ...engines.precision import computing_in
from ...errors import EmoNetError
from ...fine_tuning.class_weights import class_weights
from ...prompted.configuration import PromptSettings
from ...prompted.demonstrations import DemonstrationBank
from ...prompted.modeling import PromptedEmoNet
from ...prompted.processing import PromptedProcessor
from ...speakers.biographies.choose import Biographer, biographer_for, biographies_of
from ...speakers.biographies.of_dialogue import DialogueBiographer
from ...training.arguments import EmoNetTrainingArguments
from ..families import PreparedRun, ScoredSplit, check_trainable, choosing_epochs
from ..options import DataOptions, EvaluateOptions, TrainOptions
from ..pipeline import run_training
from .batches import PromptCollator
from .first_stage import learn_first_stage
from .presets import PROMPTED_PRESETS, preset_settings
from .tasks import TaskSettings
from .trainer import (
    OwnTrajectories,
    PromptedSplit,
    PromptedTrainer,
    predict_split,
)
from .trajectory import EmotionRecord

_DEFAULTS: dict[str, Any] = {
    "learning_rate": 2e-4,
    "num_train_epochs": 3,
    "save_strategy": "no",
    "lora_rank": 16,
    "class_weighting": "inverse",
    "own_share": 0.5,
}


@dataclass
class PromptedRun(PreparedRun):
    """A prepared training run of a prompted model.

    Attributes:
        validation: The split that selects the best epoch.
    """

    model: PromptedEmoNet
    validation: PromptedSplit

    def score(self) -> ScoredSplit:
        if self.options.load_in_4bit:
            self.model = on_whole_weights(self.model, self.options.backbone)
        scores, _ = predict_split(self.model, self.validation)
        return _scored(self.validation, scores)


class PromptedFamily:
    """The [`Family`] of prompted models."""

    def prepare(self, options: TrainOptions) -> PromptedRun:
        settings = preset_settings(options.preset, options.config_overrides)
        conversations = _load(options, settings)
        check_trainable(conversations, options.dataset)
        visible = conversations.restricted_to(("train", "validation"))
        biographer = biographer_for(settings, visible, options.store)
        training = {**PROMPTED_PRESETS[options.preset].training, **(options.training_overrides or {})}
        return prepare_prompted(options, conversations, settings, biographer, training)

    def load(
        self,
        options: DataOptions,
        config: Any,
    ) -> Conversations:
        return _load(options, config.prompt_settings, config.label_names)

    def score(
        self,
        model: PromptedEmoNet,
        processor: PromptedProcessor,
        conversations: Conversations,
        options: EvaluateOptions,
    ) -> ScoredSplit:
        """Score a split turn by turn.

        A turn's biography is written from what the turn may see. Trajectories hold
        training labels and the model's own predictions.
        """
        model = computing_in(model, options.dtype)
        visible = [name for name in ("train", options.split) if name in conversations]
        biographer = biographer_for(
            model.config.prompt_settings,
            conversations.restricted_to(visible),
            options.store,
            list(processor.speakers),
        )
        if isinstance(biographer, DialogueBiographer):
            processor.use_biographer(biographer)
        train = conversations.get("train", ())
        emotions = EmotionRecord(train, conversations.utterance_texts(), conversations.labels)
        kinds, rows = conversations.speaker_kinds, conversations[options.split]
        split = PromptedSplit(options.split, rows, model, emotions, biographer, kinds=kinds)
        scores, reader = predict_split(model, split, options.progress)
        tokens = {"prompts": reader.tokens, "computed": reader.computed}
        return _scored(split, scores, tokens=tokens, **_record_of_biographies(biographer))


def prepare_prompted(
    options: TrainOptions,
    conversations: Conversations,
    settings: PromptSettings,
    biographer: Biographer | None,
    training: Mapping[str, Any],
) -> PromptedRun:
    """Set up model, splits and trainer, and train the first stage if there is one.

    Args:
        options: The options of the run.
        conversations: The corpus, with histories at least as long as the trajectory.
        settings: The content of a prompt.
        biographer: Writes the biographies, if `settings` asks for them.
        training: `own_share`, fields of [`TaskSettings`] and `EmoNetTrainingArguments`.
    """
    labelled = check_trainable(conversations, options.dataset)
    training = choosing_epochs({**_DEFAULTS, **training}, conversations)
    own_share, tasks = training.pop("own_share"), TaskSettings.taken_from(training)
    arguments = options.training_arguments(training, trains_backbone=True)
    _check_arguments(arguments, options)
    model = PromptedEmoNet.from_backbone(
        options.backbone,
        conversations.labels,
        settings,
        dataset_version=conversations.dataset_version,
        speakers=conversations.speakers.ids(),
        **(four_bits() if options.load_in_4bit else {}),
    )
    train = conversations["train"]
    emotions = EmotionRecord(train, conversations.utterance_texts(), conversations.labels)
    if settings.demonstrations:
        bank = DemonstrationBank.from_training(train, model.labels, tasks.embedder)
        model.processor.demonstrations = bank
    kinds, rows = conversations.speaker_kinds, conversations["validation"]
    turns = PromptedSplit("train", train, model, emotions, biographer, tasks, kinds)
    validation = PromptedSplit("validation", rows, model, emotions, biographer, kinds=kinds)
    # Before training, so that a missing or locked store fails early.
    model.processor.biographies = biographies_of(list(conversations.speakers), biographer)
    if isinstance(biographer, DialogueBiographer):
        model.processor.use_biographer(biographer)
    biographies = _record_of_biographies(biographer)
    model.config.class_weights = class_weights(turns.labels(), len(model.labels), arguments.class_weighting)
    if arguments.lora_rank:
        add_adapters(model, LoraSettings.of(arguments))
        # The head's rows are the embeddings of the label words; only the transformer
        # below it is trained.
        head: nn.Module = model.language_model.get_output_embeddings()  # type: ignore[no-untyped-call]
        head.requires_grad_(False)
    first_stage = learn_first_stage(model, turns.dialogues, tasks, arguments, options.progress)
    trainer = PromptedTrainer(
        impact_weight=tasks.impact_weight,
        model=model,
        args=arguments,
        train_dataset=turns,
        eval_dataset=validation,
        data_collator=PromptCollator(model),
        compute_metrics=lambda _: {},
        callbacks=[OwnTrajectories(model, turns, own_share if settings.trajectory else 0.0)],
    )
    requested = {
        "preset": options.preset or None,
        "config": asdict(settings),
        "own_share": own_share,
        "load_in_4bit": options.load_in_4bit,
    }
    facts = {"labelled_turns": labelled, "tasks": asdict(tasks), "first_stage": first_stage, **biographies}
    return PromptedRun(options, model, trainer, len(turns), requested, facts, validation)


def train_prompted(
    conversations: Conversations,
    backbone: str,
    output_dir: str | Path,
    settings: PromptSettings,
    *,
    lora: LoraSettings | None = None,
    biographer: Biographer | None = None,
    seed: int = 1,
    load_in_4bit: bool = False,
    preset: str | None = None,
    calibrate: bool = True,
    resume: bool = False,
    progress: bool = True,
    **training: Any,
) -> PromptedEmoNet:
    """Train a prompted model on a loaded corpus and write the run folder.

    The folder holds the model with merged adapters, the adapters in `adapter`,
    `run.json`, and `metrics.json`, `predictions.jsonl` and plots of validation.

    Args:
        conversations: `load_conversations(..., history_window=K)`, K at least the
            trajectory's length.
        backbone: Hub id, folder, or name of an embedded backbone.
        output_dir: The run folder.
        settings: The content of a prompt.
        lora: Replaces the fields of `training` that begin with `lora_`.
        biographer: Writes the biographies, if `settings` asks for them; see
            [`biographer_for`].
        seed: Seed of all random numbers.
        load_in_4bit: Load the frozen weights in 4 bits during training; the saved model
            has full precision.
        preset: Name of the preset for the run's record.
        calibrate: Fit the temperature of the scores on validation.
        resume: Continue from the last complete checkpoint in the run folder.
        progress: Show progress bars.
        training: `own_share` (the maximum share of trajectory labels replaced by the
            model's own predictions), and fields of `EmoNetTrainingArguments` and
            [`TaskSettings`].
    """
    if lora is not None:
        training |= {f"lora_{name}": value for name, value in asdict(lora).items()}
    options = TrainOptions(
        dataset=conversations.dataset_version,
        output_dir=Path(output_dir),
        preset=preset or "",
        backbone=backbone,
        seed=seed,
        load_in_4bit=load_in_4bit,
        calibrate=calibrate,
        resume=resume,
        progress=progress,
    )

    def prepare(options: TrainOptions) -> PromptedRun:
        return prepare_prompted(options, conversations, settings, biographer, training)

    run, _ = run_training(options, prepare)
    assert isinstance(run.model, PromptedEmoNet)
    return run.model


def _check_arguments(arguments: EmoNetTrainingArguments, options: TrainOptions) -> None:
    if arguments.head_epochs or arguments.logit_adjustment != "none":
        packed = "head_epochs and logit_adjustment are for packed models"
        raise EmoNetError(f"A prompted model has no head of its own: {packed}.")
    if options.load_in_4bit and not arguments.lora_rank:
        raise EmoNetError("Weights in 4 bits are not trained: load_in_4bit needs adapters (lora_rank).")


def _record_of_biographies(biographer: Biographer | None) -> dict[str, Any]:
    """How many biographies a model wrote for this run, and how many are of no use."""
    annotator = getattr(biographer, "annotator", None)
    writer = getattr(biographer, "writer", None) if annotator is None else annotator.writer
    if writer is None:
        return {}
    writer.warn_of_flaws()
    return {"biographies": writer.record}


def _scored(split: PromptedSplit, scores: Any, **facts: Any) -> ScoredSplit:
    return ScoredSplit(split.dialogues, split.labels(), split.by_dialogue(scores), facts)


def _load(options: DataOptions, settings: PromptSettings, labels: list[str] | None = None) -> Conversations:
    return options.load(
        history_window=max(1, settings.trajectory),
        history_scope="corpus" if settings.trajectory else "none",
        labels=labels,
    )
