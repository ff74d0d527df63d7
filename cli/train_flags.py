"""The flags of `emonet train`: every choice of a preset that can be made anew, and what
each of them is.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from ..choices import CHOICES
from .arguments import integer, number

_COUNT, _SHARE, _ANY = integer(1), number(0, 1), number(0, 1e6)


class _Flag(NamedTuple):
    """The field that a flag sets, the type of its value, and what `--help` says."""

    field: str
    type: Callable[[str], Any]
    help: str


_CHOICES_HELP = {
    "context_mode": "one sequence a dialogue, or one a turn as CoMPM has it",
    "speaker_identity": "how the model knows who speaks: by order of appearance, by one id for the corpus, by the name as text",
    "identity_position": "where a global id's vector is added",
    "speaker_memory": "what the speaker said before: nothing, in this dialogue, or in the whole corpus",
    "memory_encoder": "what encodes the memory",
    "memory_pooling": "what is read off the memory's GRU",
    "memory_fusion": "how the memory joins the turn's vector",
    "pooling": "how a turn's vector is read from its tokens",
}
_MODEL = {
    "context_module": _Flag(
        "context_module", str, "module over turn vectors: none, or that of a system (`emonet presets`)"
    ),
    "context_dropout": _Flag("context_dropout", _SHARE, "dropout in it"),
    "memory_window": _Flag("memory_window", _COUNT, "most utterances in a speaker's memory"),
    "context_window": _Flag("context_window", integer(0), "earlier turns that a turn may see"),
    "readout_layer": _Flag(
        "readout_layer", _COUNT, "the backbone's layer that is read; those above are not run"
    ),
    "head_members": _Flag("head_members", _COUNT, "classifiers that are trained side by side and averaged"),
    "head_dropout": _Flag("head_dropout", _SHARE, "dropout before and in the classifier"),
}
_TRAINING = {
    "epochs": _Flag("num_train_epochs", number(1e-6, 1e6), "of which the best on validation is kept"),
    "batch_size": _Flag(
        "per_device_train_batch_size", _COUNT, "dialogues (prompted presets: turns) a pass and device"
    ),
    "gradient_accumulation": _Flag("gradient_accumulation_steps", _COUNT, "passes an optimizer step"),
    "learning_rate": _Flag("learning_rate", _ANY, "the highest"),
    "class_weighting": _Flag(
        "class_weighting", str, "weights of the loss: none, inverse, sqrt_inverse or effective"
    ),
    "logit_adjustment": _Flag(
        "logit_adjustment", str, "a bias a class, fitted out_of_fold or to validation; or none"
    ),
    "label_smoothing": _Flag("label_smoothing_factor", _SHARE, "share of a label that is spread over all"),
    "early_stopping": _Flag(
        "early_stopping_patience", integer(0), "epochs without a better validation score; 0 for never"
    ),
}
_LANGUAGE_MODELS = {
    "lora_rank": _Flag("lora_rank", integer(0), "rank of the adapters; 0 for none"),
    "lora_alpha": _Flag("lora_alpha", _ANY, "their scale times the rank (default: twice the rank)"),
    "lora_dropout": _Flag("lora_dropout", _SHARE, "dropout before them"),
    "lora_target_modules": _Flag("lora_target_modules", str, "names of layers with commas, or all-linear"),
    "head_epochs": _Flag(
        "head_epochs", _ANY, "epochs of the head alone before the adapters (packed presets)"
    ),
}
# A trajectory of 0 and the switches turn parts of the prompt off.
_PROMPTS = {
    "prompt_window": _Flag("window", integer(0), "earlier turns in a prompt"),
    "trajectory": _Flag(
        "trajectory", integer(0), "the speaker's latest turns with their emotions, 0 for none"
    ),
    "biography_writer": _Flag(
        "biography_writer", str, "extractive (no model), smollm2, a Hub id or a folder"
    ),
    "biography_budget": _Flag("biography_budget", _COUNT, "most words (extractive) or tokens of a biography"),
    "demonstrations": _Flag(
        "demonstrations", integer(0), "labelled training turns shown behind the question"
    ),
}
_PROMPTED_TRAINING = {
    "own_share": _Flag(
        "own_share", _SHARE, "largest share of training turns told by the model's own predictions"
    ),
    "first_stage": _Flag(
        "first_stage", str, "what is learnt first: speakers, or characteristics (oReact,xIntent)"
    ),
    "first_stage_epochs": _Flag("first_stage_epochs", _ANY, "of that stage"),
    "annotator": _Flag("annotator", str, "the instruct model that writes characteristics (default: smollm2)"),
    "impact_weight": _Flag(
        "impact_weight", _ANY, "weight of the emotion-impact task in the loss; 0 for none"
    ),
}


def add_train_flags(train: argparse.ArgumentParser) -> None:
    """Add them to the parser; without one, the preset's own value stands."""
    model = train.add_argument_group("model")
    for field, choices in CHOICES.items():
        model.add_argument(_name(field), choices=choices, help=_CHOICES_HELP[field])
    model.add_argument("--non-causal", action="store_true", help="let a turn see later turns")
    _add(model, _MODEL)
    training = train.add_argument_group("training")
    _add(training, _TRAINING)
    training.add_argument(
        "--bf16", action="store_true", help="bfloat16 products: GPUs, and processors with AVX-512 BF16 or AMX"
    )
    lm = train.add_argument_group("language models")
    _add(lm, _LANGUAGE_MODELS)
    lm.add_argument(
        "--load-in-4bit", action="store_true", help="frozen weights in 4 bits, where bitsandbytes runs"
    )
    prompts = train.add_argument_group("prompted presets")
    _add(prompts, _PROMPTS)
    prompts.add_argument("--no-biography", action="store_true", help="prompts without biographies")
    prompts.add_argument("--anonymous", action="store_true", help="numbers in place of names")
    prompts.add_argument("--store", help="speaker store that keeps the biographies (`emonet speakers build`)")
    _add(prompts, _PROMPTED_TRAINING)


def config_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of the configuration, or of the prompts, that were given."""
    given = vars(arguments)
    config = {field: given[field] for field in CHOICES if given[field] is not None}
    if arguments.non_causal:
        config["causal"] = False
    config |= _given(given, _MODEL) | _given(given, _PROMPTS)
    if arguments.no_biography:
        config["biography"] = False
    if arguments.anonymous:
        config["anonymous"] = True
    return config


def training_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of the training arguments that were given."""
    given = vars(arguments)
    training = _given(given, _TRAINING) | _given(given, _LANGUAGE_MODELS) | _given(given, _PROMPTED_TRAINING)
    return {**training, "bf16": True} if arguments.bf16 else training


def _add(group: Any, flags: dict[str, _Flag]) -> None:
    for name, flag in flags.items():
        group.add_argument(_name(name), type=flag.type, help=flag.help)


def _given(given: dict[str, Any], flags: dict[str, _Flag]) -> dict[str, Any]:
    return {flag.field: given[name] for name, flag in flags.items() if given[name] is not None}


def _name(field: str) -> str:
    return "--" + field.replace("_", "-")
