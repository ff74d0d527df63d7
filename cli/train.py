"""`emonet train`: train a preset on a corpus, with a flag for each of its choices."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..constants import CHOICES
from .arguments import (
    SEED,
    Commands,
    add_corpus_arguments,
    add_dtype_argument,
    add_knowledge_arguments,
    add_speakers_argument,
    integer,
    number,
)

_COUNT, _SHARE, _ANY = integer(1), number(0, 1), number(0, 1e6)


class _Flag(NamedTuple):
    """The field that a flag sets, the type of its value, and its help text."""

    field: str
    type: Callable[[str], Any]
    help: str


_CHOICES_HELP = {
    "context_mode": "one sequence per dialogue, or one per turn as in CoMPM",
    "speaker_identity": "how to identify speakers: by order of appearance, by corpus id, or by name as text",
    "identity_position": "where the vector of a global id is added",
    "speaker_memory": "earlier utterances of the speaker to read: none, in this dialogue, or in the corpus",
    "memory_encoder": "encoder of the memory",
    "memory_pooling": "output of the memory's GRU to use",
    "memory_fusion": "how to combine the memory with the turn's vector",
    "pooling": "how to pool a turn's tokens",
}
_MODEL = {
    "context_module": _Flag(
        "context_module", str, "module over turn vectors: none, or the name of a system's (`emonet presets`)"
    ),
    "context_dropout": _Flag("context_dropout", _SHARE, "dropout in the context module"),
    "memory_window": _Flag("memory_window", _COUNT, "maximum number of utterances in a speaker's memory"),
    "context_window": _Flag("context_window", integer(0), "number of earlier turns that a turn may see"),
    "max_sequence_tokens": _Flag(
        "max_sequence_tokens", _COUNT, "maximum number of tokens that a turn is read with (default: 1024)"
    ),
    "readout_layer": _Flag("readout_layer", _COUNT, "backbone layer to read; higher layers are not run"),
    "head_members": _Flag("head_members", _COUNT, "number of classifiers to train side by side and average"),
    "head_dropout": _Flag("head_dropout", _SHARE, "dropout before and in the classifier"),
}
_TRAINING = {
    "epochs": _Flag(
        "num_train_epochs", number(1e-6, 1e6), "number of epochs; the best on validation is kept"
    ),
    "batch_size": _Flag(
        "per_device_train_batch_size", _COUNT, "dialogues (prompted presets: turns) per pass and device"
    ),
    "gradient_accumulation": _Flag("gradient_accumulation_steps", _COUNT, "passes per optimizer step"),
    "learning_rate": _Flag("learning_rate", _ANY, "peak learning rate"),
    "class_weighting": _Flag(
        "class_weighting", str, "class weights of the loss: none, inverse, sqrt_inverse or effective"
    ),
    "logit_adjustment": _Flag(
        "logit_adjustment", str, "how to fit the class bias: out_of_fold, validation or none"
    ),
    "label_smoothing": _Flag(
        "label_smoothing_factor", _SHARE, "share of the target that is spread over all classes"
    ),
    "early_stopping": _Flag(
        "early_stopping_patience",
        integer(0),
        "stop after this many epochs without a better validation score; 0 for never",
    ),
}
_LANGUAGE_MODELS = {
    "lora_rank": _Flag("lora_rank", integer(0), "rank of the adapters; 0 for none"),
    "lora_alpha": _Flag("lora_alpha", _ANY, "LoRA alpha, the scale times the rank (default: twice the rank)"),
    "lora_dropout": _Flag("lora_dropout", _SHARE, "dropout before the adapters"),
    "lora_target_modules": _Flag("lora_target_modules", str, "comma-separated layer names, or all-linear"),
    "head_epochs": _Flag(
        "head_epochs", _ANY, "epochs that train only the head, before the adapters (packed presets)"
    ),
}
_PROMPTS = {
    "prompt_window": _Flag("window", integer(0), "number of earlier turns in a prompt"),
    "trajectory": _Flag(
        "trajectory",
        integer(0),
        "number of the speaker's recent turns to show with their emotions; 0 for none",
    ),
    "biography_writer": _Flag(
        "biography_writer", str, "extractive (no model), smollm2, a Hub id or a folder"
    ),
    "biography_budget": _Flag(
        "biography_budget", _COUNT, "maximum words (extractive) or tokens of a biography"
    ),
    "demonstrations": _Flag(
        "demonstrations", integer(0), "number of labelled training turns to show as examples"
    ),
}
_PROMPTED_TRAINING = {
    "own_share": _Flag(
        "own_share", _SHARE, "maximum share of trajectory labels replaced by the model's own predictions"
    ),
    "first_stage": _Flag(
        "first_stage", str, "first stage of training: speakers, or characteristics (oReact,xIntent)"
    ),
    "first_stage_epochs": _Flag("first_stage_epochs", _ANY, "epochs of the first stage"),
    "annotator": _Flag("annotator", str, "instruct model that writes characteristics (default: smollm2)"),
    "impact_weight": _Flag(
        "impact_weight", _ANY, "weight of the emotion-impact task in the loss; 0 for none"
    ),
}


def add_commands(commands: Commands) -> None:
    """Add `train`."""
    train = commands.add_parser("train", help="train a preset on a corpus")
    add_corpus_arguments(train)
    add_speakers_argument(train)
    train.add_argument("--preset", default="emonet", help="see `emonet presets`")
    train.add_argument(
        "--backbone",
        default="minilm",
        help="Hub id, folder, minilm or smollm2; a trained EmoNet (run folder, repository, emorynlp) is "
        "fine-tuned: its classifier starts anew where the labels differ, and new persons get new ids",
    )
    train.add_argument("--seed", default=1, type=SEED)
    add_dtype_argument(train, "; weights stay float32")
    train.add_argument("--output-dir", required=True, type=Path)
    train.add_argument(
        "--resume", action="store_true", help="continue from the last checkpoint in the output folder"
    )
    train.add_argument(
        "--merge-backbone",
        action="store_true",
        help="save a frozen backbone too, so that the run loads without it (default: only what was learnt, "
        "a few MB; loading fetches the backbone)",
    )
    _add_flags(train)
    add_knowledge_arguments(train)
    train.set_defaults(run=_train)


def _add_flags(train: argparse.ArgumentParser) -> None:
    """Add the flags of the choices; without a flag, the preset's own value stands."""
    model = train.add_argument_group("model")
    for field, choices in CHOICES.items():
        model.add_argument(_name(field), choices=choices, help=_CHOICES_HELP[field])
    model.add_argument("--non-causal", action="store_true", help="let a turn see later turns")
    _add(model, _MODEL)
    training = train.add_argument_group("training")
    _add(training, _TRAINING)
    training.add_argument(
        "--bf16",
        action="store_true",
        help="fine-tune under bfloat16 autocast, whatever --dtype says",
    )
    training.add_argument(
        "--trainer",
        action="store_true",
        help="take the Trainer's steps for the heads of a frozen backbone too: the same result within the "
        "noise of a seed, more slowly",
    )
    lm = train.add_argument_group("language models")
    _add(lm, _LANGUAGE_MODELS)
    lm.add_argument(
        "--load-in-4bit", action="store_true", help="load frozen weights in 4 bits (needs bitsandbytes)"
    )
    prompts = train.add_argument_group("prompted presets")
    _add(prompts, _PROMPTS)
    prompts.add_argument("--no-biography", action="store_true", help="prompts without biographies")
    prompts.add_argument("--anonymous", action="store_true", help="numbers instead of names")
    prompts.add_argument("--store", help="speaker store with the biographies (`emonet speakers build`)")
    _add(prompts, _PROMPTED_TRAINING)


def _train(arguments: argparse.Namespace) -> None:
    from ..data.loading import primary_metric
    from ..evaluation.compare import METRIC_TITLES
    from ..runs.train import train_run

    record = train_run(
        arguments.dataset,
        arguments.output_dir,
        data_dir=arguments.data_dir,
        interleaved=arguments.interleaved,
        columns=arguments.columns,
        speakers=arguments.speakers,
        preset=arguments.preset,
        backbone=arguments.backbone,
        seed=arguments.seed,
        config_overrides=_config(arguments),
        training_overrides=_training(arguments),
        knowledge=(arguments.concepts, arguments.affect),
        resume=arguments.resume,
        merge_backbone=arguments.merge_backbone,
        use_trainer=arguments.trainer,
        store=arguments.store,
        load_in_4bit=arguments.load_in_4bit,
        dtype=arguments.dtype,
        progress=sys.stderr.isatty(),
    )
    best = next(row for row in record["epochs"] if row["epoch"] == record["best_epoch"])
    metric = primary_metric(record["dataset_version"])
    score = f"validation {METRIC_TITLES[metric]} {100 * best[metric]:.2f}"
    labelled = ", ".join(f"{split} {count}" for split, count in record["labelled_turns"].items())
    print(f"{arguments.output_dir}: best epoch {best['epoch']}, {score}; labelled turns: {labelled}")


def _config(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of the model's configuration or of the prompts that were given."""
    values = vars(arguments)
    config = {field: values[field] for field in CHOICES if values[field] is not None}
    if arguments.non_causal:
        config["causal"] = False
    config |= _given(values, _MODEL) | _given(values, _PROMPTS)
    if arguments.no_biography:
        config["biography"] = False
    if arguments.anonymous:
        config["anonymous"] = True
    return config


def _training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of the training arguments that were given."""
    values = vars(arguments)
    training = _given(values, {**_TRAINING, **_LANGUAGE_MODELS, **_PROMPTED_TRAINING})
    return {**training, "bf16": True} if arguments.bf16 else training


def _add(group: argparse._ArgumentGroup, flags: Mapping[str, _Flag]) -> None:
    for name, flag in flags.items():
        group.add_argument(_name(name), type=flag.type, help=flag.help)


def _given(values: Mapping[str, Any], flags: Mapping[str, _Flag]) -> dict[str, Any]:
    return {flag.field: values[name] for name, flag in flags.items() if values[name] is not None}


def _name(field: str) -> str:
    return "--" + field.replace("_", "-")
