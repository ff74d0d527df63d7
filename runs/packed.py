"""Runs of packed models, which label all turns of a dialogue in one pass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..backbones.embedded import backbone_name, resolve_backbone
from ..checkpoint.integrity import config_of
from ..configuration_emonet import is_decoder_type
from ..context.base import context_module_class
from ..data import Conversations
from ..data.collator import EncodedCorpus
from ..data.features import set_concept_vectors
from ..engines.auto_dtype import resolved_dtype
from ..engines.precision import computing_in, trains_encoder
from ..errors import EmoNetError, loading
from ..fine_tuning.class_weights import class_weights
from ..fine_tuning.encoding import EncodedSplit
from ..inference.known_labels import show_labels
from ..inference.predict import EmotionModel, predict_logits
from ..knowledge.concepts import ConceptTable
from ..knowledge.table import build_concepts
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..prompted.configuration import PromptSettings
from ..train_trainer import EmoNetTrainer
from ..training.heads import needs_trainer, restart_heads, train_heads
from ..training.logit_adjustment import prepare_adjustment
from ..training.presets import preset_config, preset_training
from .continued import continue_training, is_trained
from .families import PreparedRun, ScoredSplit, check_trainable, choosing_epochs
from .head_start import start_on_frozen
from .known_labels import gold_as_known
from .options import DataOptions, EvaluateOptions, TrainOptions
from .prompted.presets import PROMPTED_PRESETS, PROMPTED_TRAINING


@dataclass
class PackedRun(PreparedRun):
    """A prepared training run of a packed model.

    Attributes:
        corpus: The encoded train and validation splits.
    """

    model: EmoNetForSequenceClassification
    corpus: EncodedCorpus

    def train(self, checkpoint: Path | None) -> None:
        if self.options.use_trainer or needs_trainer(self.trainer, resume=checkpoint is not None):
            super().train(checkpoint)
            return
        train_heads(self.trainer, resolved_dtype(self.options.dtype, self.model.device))

    def adjust(self) -> dict[str, Any]:
        bias = self.trainer.class_bias
        return {} if bias is None else {"class_bias": bias}

    def score(self, split: EncodedSplit | None = None) -> ScoredSplit:
        """Score a split, by default validation, with the model as it will be saved."""
        self.model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        split = split or self.corpus["validation"]
        logits = predict_logits(self.model, self.corpus.processor, split.windows, split.collator.memory)
        return ScoredSplit(split.rows, split.labels(), logits)


class PackedFamily:
    """The [`Family`] of packed models."""

    def prepare(self, options: TrainOptions) -> PackedRun:
        _refuse_prompted(options)
        build = continue_training if is_trained(options.backbone) else build_model
        model, processor, conversations, fields = build(options)
        corpus = EncodedCorpus(conversations.restricted_to(("train", "validation")), processor)
        training = preset_training(options.preset, model.config.is_decoder_backbone)
        training = choosing_epochs({**training, **(options.training_overrides or {})}, conversations)
        labels = corpus["train"].labels()
        scheme = training.get("class_weighting", "none")
        model.config.class_weights = class_weights(labels, len(conversations.labels), scheme)
        dtype = resolved_dtype(options.dtype, model.device)
        corpus.cache_features(model, options.cache_dir, options.progress, dtype)
        facts: dict[str, Any] = {
            "labelled_turns": conversations.restricted_to(("train", "validation")).labelled_turns()
        }
        if processor.concepts is not None:
            set_concept_vectors(model, processor, options.cache_dir, options.progress, dtype)
            facts["knowledge"] = processor.concepts.sources
        if not training.get("lora_rank"):
            corpus.fit_standardizers(model)
        trains_backbone = bool(training.get("lora_rank")) or trains_encoder(model)
        arguments = options.training_arguments(training, trains_backbone)
        if not trains_backbone:
            facts["dtype"] = dtype
        prepare_adjustment(arguments.logit_adjustment, corpus["train"], model.config.head_members)
        if arguments.lora_rank:
            start_on_frozen(model, corpus, options, arguments)
            # Again, because the head's training set up accelerate for another precision.
            arguments = options.training_arguments(training, trains_backbone)
        trainer = EmoNetTrainer(
            model=model,
            args=arguments,
            train_dataset=corpus["train"],
            eval_dataset=corpus["validation"],
            data_collator=corpus.collator,
            processing_class=processor,
        )
        training = {"early_stopping_patience": 0, **training}
        settings = {"preset": options.preset, "config": fields, "training": training}
        return PackedRun(options, model, trainer, len(labels), settings, facts, corpus)

    def load(
        self,
        options: DataOptions,
        config: Any,
    ) -> Conversations:
        return options.load(
            history_window=config.memory_window,
            history_scope=config.speaker_memory,
            labels=config.label_names,
        )

    def score(
        self,
        model: EmotionModel,
        processor: EmoNetProcessor,
        conversations: Conversations,
        options: EvaluateOptions,
    ) -> ScoredSplit:
        corpus = EncodedCorpus(conversations.restricted_to((options.split,)), processor)
        if options.engine == "torch":  # an exported graph reads tokens, not features
            classifier = cast(EmoNetForSequenceClassification, model)
            corpus.cache_features(classifier, options.cache_dir, options.progress, options.dtype)
        model, split = computing_in(model, options.dtype), corpus[options.split]
        memory, progress = corpus.collator.memory, options.progress
        windows, given, facts = split.windows, None, {}
        if options.known_labels is not None:
            known, given = gold_as_known(
                split.rows, processor.config.num_labels, options.known_labels, options.known_seed
            )
            windows = [show_labels(*pair) for pair in zip(windows, known, strict=True)]
            facts = {"known_labels": options.known_labels, "given_turns": int(given.sum())}
        logits = predict_logits(model, processor, windows, memory, progress=progress)
        return ScoredSplit(split.rows, split.labels(), logits, facts, given)


def build_model(
    options: TrainOptions,
) -> tuple[EmoNetForSequenceClassification, EmoNetProcessor, Conversations, dict[str, Any]]:
    """Build model, processor and corpus for training a packed preset.

    Returns:
        A new model on the backbone, its processor, the corpus with histories, and the
        configuration as written to `run.json`.
    """
    backbone = options.backbone
    path = resolve_backbone(backbone)
    with loading(backbone, "backbone"):
        text_config = config_of(path)
    decoder = is_decoder_type(text_config.model_type)
    fields = preset_config(options.preset, decoder, text_config.num_hidden_layers)
    fields |= options.config_overrides or {}
    conversations = options.load(
        history_window=fields.get("memory_window", 10), history_scope=fields["speaker_memory"]
    )
    check_trainable(conversations, options.dataset)
    labels = conversations.labels
    registry = conversations.speakers
    concepts = _concepts(conversations, fields.get("context_module", "none"), *options.knowledge)
    model = EmoNetForSequenceClassification.from_backbone(
        backbone,
        num_speakers=len(registry) if fields["speaker_identity"] == "global" else 1,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        dataset_version=conversations.dataset_version,
        num_concepts=0 if concepts is None else len(concepts.concepts),
        **fields,
    )
    if model.config.freeze_backbone:
        restart_heads(model, options.seed)
    processor = EmoNetProcessor.from_backbone(backbone, model.config, registry.ids(), concepts)
    return model, processor, conversations, {**fields, "backbone": backbone_name(path)}


def _refuse_prompted(options: TrainOptions) -> None:
    """Raise an EmoNetError for options that only prompted presets read."""
    unsupported = [
        *(set(options.config_overrides or {}) & set(PromptSettings.__dataclass_fields__)),
        *(set(PROMPTED_TRAINING) & set(options.training_overrides or {})),
        *(name for name in ("store", "load_in_4bit") if getattr(options, name)),
    ]
    if unsupported:
        known = ", ".join(PROMPTED_PRESETS)
        raise EmoNetError(
            f"{options.preset!r} takes no {unsupported[0]}, which is for prompted presets: {known}."
        )


def _concepts(
    conversations: Conversations,
    context_module: str,
    graph: str,
    affect: str,
) -> ConceptTable | None:
    """Concepts of the training turns' words, if the context module reads them."""
    module = context_module_class(context_module)
    if module is None or not module.uses_concepts or graph == "none":
        return None
    texts = [turn["text"] for row in conversations["train"] for turn in row["turns"]]
    return build_concepts(texts, graph, affect)
