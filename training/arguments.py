"""Define the training arguments."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments

from ..errors import EmoNetError
from ..fine_tuning.class_weights import CLASS_WEIGHTINGS

LOGIT_ADJUSTMENTS = ("none", "out_of_fold", "validation")


def _help(text: str) -> dict[str, str]:
    return {"help": text}


def _one_of(choices: Sequence[str]) -> dict[str, str]:
    return _help(f"One of {', '.join(choices)}.")


@dataclass
class EmoNetTrainingArguments(TrainingArguments):
    """`TrainingArguments` that evaluate each epoch and keep the best epoch on validation.

    Args:
        class_weighting: Scheme of the class weights: `none`, `inverse`, `sqrt_inverse` or
            `effective`; see [`class_weights`].
        learning_rate_mapping: Regular expression on parameter names → learning rate. The
            first match wins.
        early_stopping_patience: Stop after this many epochs without a better validation
            score; 0 never stops early.
        logit_adjustment: Fit a bias for each class after training, to the out-of-fold
            predictions of cross-fitted heads (`out_of_fold`) or to `validation`; see
            `logit_adjustment.py`.
        lora_rank: Rank of LoRA adapters on the backbone, whose own weights then stay
            frozen; 0 for none.
        lora_alpha: See [`LoraSettings`].
        lora_dropout: See [`LoraSettings`].
        lora_target_modules: See [`LoraSettings`].
        head_epochs: With adapters, first train the head alone for this many epochs on the
            frozen backbone's cached vectors.
    """

    class_weighting: str = field(default="none", metadata=_one_of(CLASS_WEIGHTINGS))
    learning_rate_mapping: dict[str, float] | str = field(default_factory=dict)
    early_stopping_patience: int = field(
        default=0,
        metadata=_help("Stop after this many epochs without a better score; 0: never."),
    )
    logit_adjustment: str = field(default="none", metadata=_one_of(LOGIT_ADJUSTMENTS))
    lora_rank: int = field(default=0, metadata=_help("Rank of LoRA adapters on the backbone; 0: none."))
    lora_alpha: float | None = field(default=None, metadata=_help("Scale of the adapters times their rank."))
    lora_dropout: float = field(default=0.05)
    lora_target_modules: str = field(
        default="all-linear",
        metadata=_help("Comma-separated names of layers, or all-linear."),
    )
    head_epochs: float = field(
        default=0, metadata=_help("Epochs that train the head alone, before the adapters.")
    )
    output_dir: str | None = field(default="emonet-run")
    eval_strategy: str = field(default="epoch")
    save_strategy: str = field(default="epoch")
    save_total_limit: int | None = field(default=1)
    load_best_model_at_end: bool = field(default=True)
    metric_for_best_model: str | None = field(default="weighted_f1")
    greater_is_better: bool | None = field(default=None)  # False for a loss, else True
    logging_strategy: str = field(default="epoch")
    train_sampling_strategy: str = field(default="group_by_length")
    remove_unused_columns: bool = field(default=False)
    dataloader_pin_memory: bool = field(default_factory=torch.cuda.is_available)

    @property
    def saves_nothing(self) -> bool:
        """Whether no checkpoint is written; [`BestWeights`] keeps the best in memory."""
        return str(getattr(self.save_strategy, "value", self.save_strategy)) == "no"

    def __post_init__(self) -> None:
        for name, choices in (("class_weighting", CLASS_WEIGHTINGS), ("logit_adjustment", LOGIT_ADJUSTMENTS)):
            if getattr(self, name) not in choices:
                raise EmoNetError(f"{name}={getattr(self, name)!r} is not one of {', '.join(choices)}.")
        if self.saves_nothing:
            self.load_best_model_at_end = False
        if self.bf16 and not torch.accelerator.is_available():
            self.use_cpu = True  # the base class requires it for bfloat16 on a CPU
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.hub_token:
            raise EmoNetError(
                "hub_token would be pickled into training_args.bin: log in, or set HF_TOKEN, instead."
            )
