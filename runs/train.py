"""Runs: a training from corpus to folder, and an evaluation from folder to figures."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from transformers import AutoConfig, set_seed

from ..adapters.checkpoints import start_on_frozen
from ..adapters.lora import save_adapter
from ..backbones.embedded import backbone_name, resolve_backbone
from ..checkpoint.resuming import last_whole_checkpoint, mean_loss
from ..checkpoint.run_record import RUN_FILE, run_record, write_json
from ..configuration_emonet import is_decoder_type
from ..context.registry import context_module_class
from ..data import Conversations, load_conversations
from ..data.collator import EncodedCorpus
from ..data.features import set_concept_vectors
from ..engines.load import computing_in, load_engine
from ..errors import EmoNetError, loading
from ..evaluation.report import write_predictions, write_run_report
from ..evaluation.scoring import score_dialogues, temperature_of
from ..files.disk import room_on_disk
from ..hub.card import write_card
from ..inference.predict import predict_logits
from ..knowledge.concepts import ConceptTable
from ..knowledge.table import build_concepts
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..prompted.modeling import PromptedEmoNet
from ..train_trainer import EmoNetTrainer, EmoNetTrainingArguments, class_weights
from ..training.logit_adjustment import adjust_logits, prepare_adjustment
from ..training.presets import preset_config, preset_training
from .prompted.presets import PROMPTED_PRESETS
from .prompted.run import check_packed, evaluate_prompted, train_prompted_run


def train_run(
    dataset: str,
    output_dir: str | Path,
    *,
    data_dir: str | None = None,
    preset: str = "emonet",
    backbone: str = "minilm",
    seed: int = 1,
    config_overrides: dict[str, Any] | None = None,
    training_overrides: dict[str, Any] | None = None,
    knowledge: tuple[str, str] = ("wordnet", "vader"),
    cache_dir: Path | None = None,
    progress: bool = True,
    resume: bool = False,
    calibrate: bool = True,
    store: str | Path | None = None,
    load_in_4bit: bool = False,
) -> dict[str, Any]:
    """Train a preset on a corpus, keep the best epoch on validation, and write the run folder.

    The folder holds the checkpoint, tokenizer, `speakers.json`, `run.json` (what was run, every epoch's figures), and the
    validation's `metrics.json`, `predictions.jsonl` and plots. The test split is not read.

    Args:
        config_overrides / training_overrides: `EmoNetConfig` (of a prompted preset, `PromptSettings`) and
            `EmoNetTrainingArguments` fields.
        store: Speaker store that a prompted preset takes its biographies from.
        load_in_4bit: See [`train_prompted`].
        calibrate: Fit the temperature of the scores on validation and keep it in the checkpoint's configuration.
        knowledge: Concept graph (or `none`) and affect lexicon of a context module that reads concepts.

    Returns:
        The content of `run.json`.
    """
    if preset in PROMPTED_PRESETS:
        return train_prompted_run(
            dataset, output_dir, data_dir=data_dir, preset=preset, backbone=backbone, seed=seed, store=store, resume=resume,
            config_overrides=config_overrides, training_overrides=training_overrides, calibrate=calibrate, progress=progress,
            load_in_4bit=load_in_4bit,
        )  # fmt: skip
    check_packed(preset, config_overrides, training_overrides, store=store, load_in_4bit=load_in_4bit)
    started = time.perf_counter()
    output = Path(output_dir)
    set_seed(seed)
    model, processor, conversations, fields = prepare_run(
        dataset, data_dir, preset, backbone, config_overrides, knowledge
    )
    corpus = EncodedCorpus(_only(conversations, "train", "validation"), processor)
    training = {**preset_training(preset, model.config.is_decoder_backbone), **(training_overrides or {})}
    scheme = training.get("class_weighting", "none")
    model.config.class_weights = class_weights(corpus["train"].labels(), model.config.num_labels, scheme)
    corpus.cache_features(model, cache_dir, progress)
    facts: dict[str, Any] = {}
    if processor.concepts is not None:
        set_concept_vectors(model, processor, cache_dir, progress)
        facts["knowledge"] = processor.concepts.sources
    if not training.get("lora_rank"):
        corpus.fit_standardizers(model)
    cached = time.perf_counter()

    arguments = _arguments(output, seed, progress, training)
    prepare_adjustment(arguments.logit_adjustment, corpus["train"], model.config.head_members)
    if arguments.lora_rank:
        head_training = {
            **preset_training("emonet-fast", model.config.is_decoder_backbone),
            "class_weighting": scheme,
        }
        head_training["num_train_epochs"] = arguments.head_epochs
        start_on_frozen(
            model, corpus, arguments, _arguments(output, seed, progress, head_training), cache_dir, progress
        )
        arguments = _arguments(
            output, seed, progress, training
        )  # anew: accelerate was set up for the head's precision
        cached = time.perf_counter()
    trainer = EmoNetTrainer(
        model=model,
        args=arguments,
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        data_collator=corpus.collator,
        processing_class=processor,
    )
    checkpoint = last_whole_checkpoint(output / "checkpoints") if resume else None
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if arguments.logit_adjustment != "none":
        facts["class_bias"] = adjust_logits(model, corpus, arguments.logit_adjustment)
    finished = time.perf_counter()
    record = run_record(
        model,
        arguments,
        trainer.state,
        preset=preset,
        config=fields,
        training={"early_stopping_patience": 0, **training},
        train_loss=mean_loss(trainer.state.log_history),
        seconds={"prepare": round(cached - started, 1), "train": round(finished - cached, 1)},
        training_turns=len(corpus["train"].labels()),
        **facts,
    )
    if trainer.is_world_process_zero():
        split = corpus["validation"]
        logits = predict_logits(model, processor, split.windows, corpus.collator.memory)
        if calibrate:
            model.config.calibration_temperature = temperature_of(logits, split.labels())
        with room_on_disk(output, "run the same command again with --resume"):
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(output)
            if arguments.lora_rank:
                save_adapter(model, output / "adapter", record)
        metrics, rows = score_dialogues(processor, split.rows, split.labels(), logits)
        metrics["dataset_version"] = conversations.dataset_version
        write_run_report(
            output, metrics, model.config.label_names, history=trainer.state.log_history, split="validation"
        )
        write_predictions(output / "predictions.jsonl", rows)
        write_json(output / RUN_FILE, record)
        write_card(output)
        if arguments.saves_nothing:
            shutil.rmtree(output / "checkpoints", ignore_errors=True)
    trainer.accelerator.end_training()
    return record


def evaluate_run(
    checkpoint: str | Path,
    dataset: str,
    *,
    data_dir: str | None = None,
    split: str = "test",
    predictions: Path | None = None,
    engine: str = "torch",
    dtype: str | None = None,
    store: str | Path | None = None,
    load_in_4bit: bool = False,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Score a checkpoint on a split: `emotion_metrics` with `dataset_version`, `split` and `n`.

    Args:
        engine / load_in_4bit: As [`load_engine`] takes them. dtype: What PyTorch computes in (`float32`, `bfloat16`); features of
            frozen encoders stay those that training cached.
        store: Speaker store that a prompted model takes its biographies from.
    """
    model, processor = load_engine(checkpoint, engine, load_in_4bit)
    if isinstance(model, PromptedEmoNet):
        metrics, rows = evaluate_prompted(
            computing_in(model, dtype), dataset, data_dir, split, store, progress
        )
    else:
        metrics, rows = _evaluate_packed(
            model, processor, dataset, data_dir, split, engine, dtype, cache_dir, progress
        )
    metrics["trained_on"] = model.config.dataset_version
    metrics["causal"] = model.config.causal
    if predictions is not None:
        write_predictions(predictions, rows)
    return metrics


def _evaluate_packed(
    model: Any, processor: EmoNetProcessor, dataset: str, data_dir: str | None, split: str, engine: str, dtype: str | None,
    cache_dir: Path | None, progress: bool,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    conversations = _load(dataset, data_dir, model.config)
    if split not in conversations:
        raise EmoNetError(f"{dataset!r} has no split {split!r}; it has {', '.join(conversations)}.")
    if conversations.labels != model.config.label_names:
        raise EmoNetError(
            f"The model's labels {model.config.label_names} are not those of {dataset!r}: {conversations.labels}."
        )
    corpus = EncodedCorpus(_only(conversations, split), processor)
    if engine == "torch":  # an exported graph reads tokens
        corpus.cache_features(model, cache_dir, progress)
    model = computing_in(model, dtype)
    logits = predict_logits(
        model, processor, corpus[split].windows, corpus.collator.memory, progress=progress
    )
    metrics, rows = score_dialogues(processor, corpus[split].rows, corpus[split].labels(), logits)
    return {**metrics, "dataset_version": conversations.dataset_version, "split": split}, rows


def add_to_run(folder: Path, metrics: dict[str, Any]) -> None:
    """Keep a split's figures in the run's folder, as `<split>_metrics.json`, and bring its card up to date.

    Figures on another corpus than the one it was trained on are not the run's, and a folder may be read-only: then nothing is
    kept.
    """
    if metrics["dataset_version"] == metrics["trained_on"] and os.access(folder, os.W_OK):
        write_json(folder / f"{metrics['split']}_metrics.json", metrics)
        write_card(folder)


def prepare_run(
    dataset: str,
    data_dir: str | None,
    preset: str,
    backbone: str,
    overrides: dict[str, Any] | None,
    knowledge: tuple[str, str] = ("none", "none"),
) -> tuple[Any, EmoNetProcessor, Conversations, dict[str, Any]]:
    """What a training of a packed preset starts from; arguments are those of [`train_run`].

    Returns:
        A new model on the backbone, its processor, the corpus with histories, and the configuration as `run.json` states it.
    """
    path = resolve_backbone(backbone)
    with loading(backbone, "backbone"):
        text_config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    decoder = is_decoder_type(text_config.model_type)
    fields = {**preset_config(preset, decoder, text_config.num_hidden_layers), **(overrides or {})}
    conversations = load_conversations(
        dataset,
        data_dir,
        history_window=fields.get("memory_window", 10),
        history_scope=fields["speaker_memory"],
    )
    for split in ("train", "validation"):
        if split not in conversations:
            raise EmoNetError(f"{dataset!r} has no {split} split: training needs train and validation files.")
    labels = conversations.labels
    registry = conversations.speakers
    concepts = (
        _concepts(conversations, fields["context_module"], *knowledge) if "context_module" in fields else None
    )
    model = EmoNetForSequenceClassification.from_backbone(
        backbone,
        num_speakers=len(registry) if fields["speaker_identity"] == "global" else 1,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        dataset_version=conversations.dataset_version,
        num_concepts=0 if concepts is None else len(concepts.concepts),
        **fields,
    )
    processor = EmoNetProcessor.from_backbone(backbone, model.config, registry.ids(), concepts)
    return model, processor, conversations, {**fields, "backbone": backbone_name(path)}


def _concepts(
    conversations: Conversations, context_module: str, graph: str, affect: str
) -> ConceptTable | None:
    """The concepts beside the words of the training turns, for a module that reads them."""
    module = context_module_class(context_module)
    if module is None or not module.uses_concepts or graph == "none":
        return None
    return build_concepts(
        [turn["text"] for row in conversations["train"] for turn in row["turns"]], graph, affect
    )


def _arguments(output: Path, seed: int, progress: bool, training: dict[str, Any]) -> EmoNetTrainingArguments:
    return EmoNetTrainingArguments(
        output_dir=str(output / "checkpoints"), seed=seed, disable_tqdm=not progress, **training
    )


def _load(dataset: str, data_dir: str | None, config: Any) -> Conversations:
    return load_conversations(
        dataset,
        data_dir,
        history_window=config.memory_window,
        history_scope=config.speaker_memory,
        labels=config.label_names,
    )


def _only(conversations: Conversations, *splits: str) -> Conversations:
    """The corpus reduced to `splits`; its utterance table stays whole, so that histories still point into it."""
    return conversations.restricted_to(splits)
