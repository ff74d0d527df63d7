"""Runs: a training from corpus to folder, an evaluation from folder to figures, and the demo that does both."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig, set_seed

from .backbones import backbone_name, resolve_backbone
from .configuration_emonet import is_decoder_type
from .data import Conversations, load_conversations
from .data.collator import EncodedCorpus, EncodedSplit
from .engines.load import load_engine
from .errors import EmoNetError
from .evaluation.metrics import emotion_metrics
from .evaluation.report import write_predictions, write_run_report
from .hub.card import write_card
from .inference import predict_logits
from .language.adapter_trainer import start_on_frozen
from .language.lora import save_adapter
from .modeling_emonet import EmoNetForSequenceClassification
from .presets import preset_config, preset_training
from .processing_emonet import NO_LABEL, EmoNetProcessor
from .run_record import RUN_FILE, run_record, write_json
from .train_trainer import EmoNetTrainer, EmoNetTrainingArguments, class_weights


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
    cache_dir: Path | None = None,
    progress: bool = True,
    resume: bool = False,
) -> dict[str, Any]:
    """Train a preset on a corpus, keep the best epoch on validation, and write the run folder.

    The folder holds the checkpoint, tokenizer, `speakers.json`, `run.json` (what was run, every epoch's figures), and the
    validation's `metrics.json`, `predictions.jsonl` and plots. The test split is not read.

    Returns:
        The content of `run.json`.
    """
    started = time.perf_counter()
    output = Path(output_dir)
    set_seed(seed)
    model, processor, conversations, fields = prepare_run(dataset, data_dir, preset, backbone, config_overrides)
    corpus = EncodedCorpus(_only(conversations, "train", "validation"), processor)
    training = {**preset_training(preset, model.config.is_decoder_backbone), **(training_overrides or {})}
    scheme = training.get("class_weighting", "none")
    model.config.class_weights = class_weights(corpus["train"].labels(), model.config.num_labels, scheme)
    corpus.cache_features(model, cache_dir, progress)
    if not training.get("lora_rank"):
        corpus.fit_standardizers(model)
    cached = time.perf_counter()

    arguments = _arguments(output, seed, progress, training)
    if arguments.lora_rank:
        head_training = {**preset_training("emonet-fast", model.config.is_decoder_backbone), "class_weighting": scheme}
        head_training["num_train_epochs"] = arguments.head_epochs
        start_on_frozen(model, corpus, arguments, _arguments(output, seed, progress, head_training), cache_dir, progress)
        cached = time.perf_counter()
    trainer = EmoNetTrainer(
        model=model,
        args=arguments,
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
        data_collator=corpus.collator,
        processing_class=processor,
    )
    result = trainer.train(resume_from_checkpoint=resume or None)
    finished = time.perf_counter()
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(output)
        if arguments.lora_rank:
            save_adapter(model, output / "adapter")
    record = run_record(
        model,
        arguments,
        trainer.state,
        preset=preset,
        config=fields,
        training={"early_stopping_patience": 0, **training},
        train_loss=result.training_loss,
        seconds={"prepare": round(cached - started, 1), "train": round(finished - cached, 1)},
    )
    if trainer.is_world_process_zero():
        split = corpus["validation"]
        metrics, rows = score_split(model, processor, split, corpus.collator.memory)
        metrics["dataset_version"] = conversations.dataset_version
        write_run_report(output, metrics, model.config.label_names, history=trainer.state.log_history, split="validation")
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
    cache_dir: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Score a checkpoint on a split: `emotion_metrics` with `dataset_version`, `split` and `n`."""
    model, processor = load_engine(checkpoint, engine)
    conversations = _load(dataset, data_dir, model.config)
    if split not in conversations:
        raise EmoNetError(f"{dataset!r} has no split {split!r}; it has {', '.join(conversations)}.")
    if conversations.labels != model.config.label_names:
        raise EmoNetError(f"The model's labels {model.config.label_names} are not those of {dataset!r}: {conversations.labels}.")
    corpus = EncodedCorpus(_only(conversations, split), processor)
    if engine == "torch":  # an exported graph reads tokens
        corpus.cache_features(model, cache_dir, progress)
    metrics, rows = score_split(model, processor, corpus[split], corpus.collator.memory, progress)
    metrics.update(dataset_version=conversations.dataset_version, split=split)
    metrics["trained_on"] = model.config.dataset_version
    metrics["causal"] = model.config.causal
    if predictions is not None:
        write_predictions(predictions, rows)
    return metrics


def add_to_run(folder: Path, metrics: dict[str, Any]) -> None:
    """Keep a split's figures in the run's folder, as `<split>_metrics.json`, and bring its card up to date.

    Figures on another corpus than the one it was trained on are not the run's, and a folder may be read-only: then nothing is
    kept.
    """
    if metrics["dataset_version"] == metrics["trained_on"] and os.access(folder, os.W_OK):
        write_json(folder / f"{metrics['split']}_metrics.json", metrics)
        write_card(folder)


def score_split(
    model: Any, processor: EmoNetProcessor, split: EncodedSplit, memory: Any, progress: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Metrics of a split, and one prediction row for every turn of it."""
    logits = predict_logits(model, processor, split.windows, memory, progress=progress)
    labels = model.config.label_names
    rows: list[dict[str, Any]] = []
    gold: list[int] = []
    for row, scores, windows in zip(split.rows, logits, split.windows, strict=True):
        gold += [label for window in windows for label in window["labels"][window["read_from"] :]]
        for place, (turn, result) in enumerate(zip(row["turns"], processor.labels_of(scores), strict=True)):
            label = gold[len(rows)]
            rows.append(
                {
                    "dialogue_id": row["dialogue_id"],
                    "turn": place,
                    "speaker": turn["speaker"],
                    "text": turn["text"],
                    "emotion": None if label == NO_LABEL else labels[label],
                    "predicted": result["label"],
                    "scores": {name: round(score, 4) for name, score in result["scores"].items()},
                }
            )
    predicted = np.concatenate([scores.argmax(-1) for scores in logits])
    return emotion_metrics(gold, predicted, labels), rows


def prepare_run(
    dataset: str, data_dir: str | None, preset: str, backbone: str, overrides: dict[str, Any] | None
) -> tuple[Any, EmoNetProcessor, Conversations, dict[str, Any]]:
    path = resolve_backbone(backbone)
    text_config = AutoConfig.from_pretrained(path)
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
    model = EmoNetForSequenceClassification.from_backbone(
        backbone,
        num_speakers=len(registry) if fields["speaker_identity"] == "global" else 1,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        dataset_version=conversations.dataset_version,
        **fields,
    )
    processor = EmoNetProcessor.from_backbone(backbone, model.config, registry.ids())
    return model, processor, conversations, {**fields, "backbone": backbone_name(path)}


def _arguments(output: Path, seed: int, progress: bool, training: dict[str, Any]) -> EmoNetTrainingArguments:
    return EmoNetTrainingArguments(output_dir=str(output / "checkpoints"), seed=seed, disable_tqdm=not progress, **training)


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
