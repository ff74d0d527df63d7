"""Train encoder EmoNets: exact weighted loss, and the best epoch on validation."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset as HFDataset
from datasets import DatasetDict
from torch import nn
from torch.utils.data import Sampler
from transformers import PreTrainedModel, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from .adapters.checkpoints import AdapterCheckpoints
from .constants import NO_LABEL
from .data.collator import EncodedCorpus
from .data.loading import primary_metric
from .engines.attention import fastest_attention
from .engines.precision import encoders_of
from .errors import EmoNetError, loading
from .evaluation.metrics import trainer_metrics
from .files.disk import room_on_disk
from .fine_tuning.class_weights import class_weights
from .fine_tuning.encoding import EncodedSplit
from .hub.card_callback import CardCallback
from .hub.pushing_trainer import PushingTrainer
from .inference.predict import window_tokens
from .layers.loss import weighted_auxiliary, weighted_cross_entropy
from .processing_emonet import EmoNetProcessor
from .training.arguments import EmoNetTrainingArguments
from .training.logit_adjustment import adjust_logits, member_labels, prepare_adjustment
from .training.search import SearchingTrainer
from .training.turn_reader import needs_labels

__all__ = ["BestWeights", "EmoNetTrainer", "EmoNetTrainingArguments"]

_DAMAGED = (
    " Delete that folder and run the same command again: "
    "it resumes from the checkpoint before, or starts anew."
)


class EmoNetTrainer(AdapterCheckpoints, SearchingTrainer, PushingTrainer):
    """Trainer over the windows of an [`EncodedCorpus`].

    With `class_weighting`, it computes the class weights of `train_dataset` and sets them
    in the model; with `logit_adjustment`, it fits the class bias after training. With
    `model_init` in place of `model`, each new model gets both.

    Example:
        >>> corpus = EncodedCorpus(load_conversations("sample"), processor)
        >>> trainer = EmoNetTrainer(
        ...     model,
        ...     args,
        ...     train_dataset=corpus["train"],
        ...     eval_dataset=corpus["validation"],
        ...     data_collator=corpus.collator,
        ...     processing_class=processor,
        ... )
        >>> trainer.train()

    Raises:
        EmoNetError: for a dataset that is not encoded, with what is missing and the call
            that encodes it.
    """

    args: EmoNetTrainingArguments
    _set_weights: list[float] | None = None  # the class weights that this trainer set
    _given_weights: list[float] | None = None
    _fitted_bias: Any = None  # (C,), of the last training
    required_keys: tuple[str, ...] = ("speaker_ids", "local_speaker_ids", "labels", "memory_index")
    loss_is_scaled_for_ga = True  # the loss is divided by the weight of the whole optimizer step

    def __init__(
        self,
        model: PreTrainedModel | None = None,
        args: EmoNetTrainingArguments | None = None,
        **kwargs: Any,
    ):
        for name in ("train_dataset", "eval_dataset"):
            _check_dataset(kwargs.get(name), name, self.required_keys)
        if kwargs.get("data_collator") is None:
            raise EmoNetError(
                "EmoNetTrainer needs data_collator=EncodedCorpus(...).collator: it holds the speaker memory."
            )
        if model is not None and "compute_metrics" not in kwargs and kwargs.get("eval_dataset") is not None:
            config: Any = model.config
            kwargs["compute_metrics"] = trainer_metrics(config.label_names)
        args = args or EmoNetTrainingArguments()
        # The base class sets these after its first call of `model_init`.
        self.args, self.processing_class = args, kwargs.get("processing_class")
        self.train_dataset, self.eval_dataset = kwargs.get("train_dataset"), kwargs.get("eval_dataset")
        if model is not None:
            self.prepare(model)
        super().__init__(model=model, args=args, **kwargs)
        if model is None and "compute_metrics" not in kwargs and self.eval_dataset is not None:
            new_model: Any = self.model
            self.compute_metrics = trainer_metrics(new_model.config.label_names)
        self.add_callback(CardCallback())
        if kwargs.get("eval_dataset") is not None and args.saves_nothing:
            metric = args.metric_for_best_model or "weighted_f1"
            self.add_callback(BestWeights(metric, args.early_stopping_patience, bool(args.greater_is_better)))
        elif args.early_stopping_patience and args.load_best_model_at_end:
            from transformers import EarlyStoppingCallback

            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))

    def prepare(self, model: Any) -> None:
        """Give a model its processor, the class weights and the folds of its heads."""
        _without_preparation(model)
        if isinstance(self.processing_class, EmoNetProcessor):
            model.processor = self.processing_class
        config = model.config
        if self._set_weights is not None and config.class_weights == self._set_weights:
            config.class_weights = self._given_weights  # `model_init` gave the same configuration again
        labels = getattr(self.train_dataset, "labels", None)
        if self.args.class_weighting != "none" and callable(labels):
            self._given_weights = config.class_weights
            self._set_weights = class_weights(labels(), config.num_labels, self.args.class_weighting)
            config.class_weights = self._set_weights
        adjustment = self.args.logit_adjustment
        if adjustment == "none":
            return
        if not isinstance(self.train_dataset, EncodedSplit) or not isinstance(
            self.eval_dataset, EncodedSplit
        ):
            raise EmoNetError(
                f"logit_adjustment={adjustment!r} needs train_dataset and eval_dataset of an EncodedCorpus."
            )
        prepare_adjustment(adjustment, self.train_dataset, config.head_members)

    def finish(self) -> None:
        """Fit the class bias, with `logit_adjustment`."""
        adjustment = self.args.logit_adjustment
        if adjustment == "none":
            return
        model: Any = self.accelerator.unwrap_model(self.model)
        split: Any = self.train_dataset if adjustment == "out_of_fold" else self.eval_dataset
        collator: Any = self.data_collator
        metric = primary_metric(model.config.dataset_version)
        self._fitted_bias = adjust_logits(model, split, collator, adjustment, metric)

    @property
    def class_bias(self) -> list[float] | None:
        """The fitted bias of each class; None without `logit_adjustment`.

        After a search with a single head it is None too: the head has it in its own bias.
        """
        if self.args.logit_adjustment == "none":
            return None
        model: Any = self.accelerator.unwrap_model(self.model)
        bias = getattr(model.classifier, "class_bias", self._fitted_bias)
        return None if bias is None else [round(float(value), 4) for value in bias]

    def hyperparameter_search(self, *args: Any, **kwargs: Any) -> Any:
        best = super().hyperparameter_search(*args, **kwargs)
        self._fitted_bias = None  # the last trial's
        if self.model is not None:  # record the best trial, not the last
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, CardCallback):
                    callback.write(self.args, self.state, self.accelerator.unwrap_model(self.model))
        return best

    hyperparameter_search.__doc__ = SearchingTrainer.hyperparameter_search.__doc__

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor | None:
        """Sum the class weights of all labels of an optimizer step.

        The sum is over every accumulated batch and every process: a divisor of each
        batch's own would weight the turns of short batches more.
        """
        if not batch_samples or any("labels" not in batch for batch in batch_samples):
            return None
        total = torch.zeros((), device=device)
        for batch in batch_samples:
            labels = batch["labels"]
            total = total + self._weights(labels.device)[labels[labels != -100]].sum().to(device)
        totals: torch.Tensor = self.accelerator.gather(total.reshape(1))
        return totals.sum()

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take a step; under autocast on a CPU, with the attention that is fastest."""
        if not self.args.bf16:
            return super().training_step(model, *args, **kwargs)
        encoders = encoders_of(self.accelerator.unwrap_model(model))
        with fastest_attention(encoders, self.args.device):
            return super().training_step(model, *args, **kwargs)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Compute the weighted cross entropy of a batch's share of the optimizer step.

        It is the sum of the batch's losses over the total weight of the step. It honours
        `label_smoothing_factor`, and adds the loss of a context module in training.

        Args:
            model: In training or evaluation.
            inputs: A batch of the collator. `folds` (B,), where given, is the member of
                the head that must not learn from a dialogue.
            return_outputs: Whether to return the model's outputs too.
            num_items_in_batch: The total weight; None: that of the batch.
        """
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        folds = inputs.pop("folds", None)
        # The model gets labels only where a part of it needs them: with them it would
        # compute the cross entropy too, without label smoothing and folds.
        if model.training and needs_labels(self.accelerator.unwrap_model(self.model)):
            inputs["labels"] = labels
        outputs = model(**inputs)
        loss = self.loss_of(outputs, labels, folds, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def loss_of(
        self,
        outputs: Any,
        labels: torch.Tensor,
        folds: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a model's outputs: see `compute_loss` for the arguments."""
        logits = outputs.logits if outputs.member_logits is None else outputs.member_logits
        targets = labels if folds is None else member_labels(labels, folds, logits.shape[-2])
        loss, weight = weighted_cross_entropy(
            logits, targets, self._class_weights, self.args.label_smoothing_factor
        )
        if folds is not None:  # all members but one learn from each turn
            loss, weight = loss / (logits.shape[-2] - 1), weight / (logits.shape[-2] - 1)
        if outputs.auxiliary_losses is not None:
            loss = loss + weighted_auxiliary(outputs.auxiliary_losses, labels, self._class_weights)
        if num_items_in_batch is None:
            loss = loss / weight.clamp(min=torch.finfo(torch.float32).tiny)
        else:
            # Gradients are averaged over processes, while the divisor is the total of all
            # processes: multiply by their number.
            total = torch.as_tensor(num_items_in_batch, device=loss.device)
            loss = loss / total.clamp(min=torch.finfo(torch.float32).tiny) * self.accelerator.num_processes
        return loss

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        with room_on_disk(self.args.output_dir or ".", "run the same command again with --resume"):
            super()._save_checkpoint(model, trial)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with loading(checkpoint or "", "optimizer state", _DAMAGED):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with loading(checkpoint or "", "state of the random numbers", _DAMAGED):
            super()._load_rng_state(checkpoint)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer, with the learning rates of `learning_rate_mapping`."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        target: Any = self.model if model is None else model
        mapping: Any = self.args.learning_rate_mapping
        if is_new and mapping:
            _apply_learning_rates(optimizer, target, mapping)
        return optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        strategy = self.args.train_sampling_strategy
        if str(getattr(strategy, "value", strategy)) != "group_by_length":
            return super()._get_train_sampler(dataset)
        lengths = [window_tokens(dataset[index]) for index in range(len(dataset))]
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(size, dataset, lengths=lengths)

    @property
    def _class_weights(self) -> list[float] | None:
        weights: list[float] | None = self.accelerator.unwrap_model(self.model).config.class_weights
        return weights

    def _weights(self, device: torch.device) -> torch.Tensor:
        config = self.accelerator.unwrap_model(self.model).config
        return torch.tensor(config.class_weights or [1.0] * config.num_labels, device=device)


class BestWeights(TrainerCallback):
    """Keep the best epoch's trainable weights in memory; restore them at the end.

    It also stops early. It is for frozen backbones, where a checkpoint per epoch would
    write the whole backbone again and again.

    Args:
        metric: Of the evaluation, with or without `eval_`.
        patience: Evaluations without a better value before training stops; 0 for never.
        greater_is_better: Whether a higher value is better.
    """

    def __init__(self, metric: str, patience: int = 0, greater_is_better: bool = True):
        self.metric = metric if metric.startswith("eval_") else f"eval_{metric}"
        self.patience = patience
        self.sign = 1 if greater_is_better else -1
        self.best = -np.inf
        self.best_epoch: float | None = None
        self.waited = 0
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.best, self.best_epoch, self.waited, self.weights = -np.inf, None, 0, {}

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Any = None,
        model: nn.Module | None = None,
        **kw: Any,
    ) -> None:
        if model is None or not metrics or self.metric not in metrics:
            return
        if self.sign * metrics[self.metric] > self.best:
            self.best, self.best_epoch, self.waited = self.sign * metrics[self.metric], state.epoch, 0
            self.weights = {
                name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad
            }
            state.best_metric = metrics[self.metric]
            state.best_global_step = state.global_step
            return
        self.waited += 1
        if self.patience and self.waited >= self.patience:
            control.should_training_stop = True

    @torch.no_grad()
    def on_train_end(
        self, args: Any, state: Any, control: Any, model: nn.Module | None = None, **kwargs: Any
    ) -> None:
        assert model is not None
        for name, parameter in model.named_parameters():
            if name in self.weights:
                parameter.copy_(self.weights[name])


def _without_preparation(model: PreTrainedModel) -> None:
    """Undo the preparation of another trainer.

    accelerate prepares no model twice, so this trainer's precision would be ignored.
    """
    vars(model).pop("_is_accelerate_prepared", None)
    if "_original_forward" in vars(model):
        model.forward = vars(model).pop("_original_forward")


def _apply_learning_rates(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, mapping: dict[str, float]
) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for pattern in mapping:
        if not any(re.search(pattern, name) for name in names.values()):
            raise EmoNetError(f"learning_rate_mapping: no parameter matches {pattern!r}.")
    for group in list(optimizer.param_groups):
        moved: dict[float, list[torch.nn.Parameter]] = {}
        kept: list[torch.nn.Parameter] = []
        for parameter in group["params"]:
            name = names[id(parameter)].removeprefix("module.")
            rate = next((rate for pattern, rate in mapping.items() if re.search(pattern, name)), None)
            (kept if rate is None else moved.setdefault(rate, [])).append(parameter)
        group["params"] = kept
        for rate, parameters in moved.items():
            optimizer.add_param_group({**group, "params": parameters, "lr": rate})


def _check_dataset(dataset: Any, name: str, keys: Sequence[str]) -> None:
    if dataset is None:
        return
    encode = "Encode the corpus first: corpus = EncodedCorpus(load_conversations(...), processor)"
    if isinstance(dataset, (DatasetDict, EncodedCorpus)):
        raise EmoNetError(
            f"{name} is a whole corpus; pass one split, for example {name}=corpus['train']. {encode}."
        )
    if isinstance(dataset, HFDataset):
        raise EmoNetError(
            f"{name} has the raw columns {dataset.column_names}. {encode}; then pass corpus['train']."
        )
    if len(dataset) == 0:
        raise EmoNetError(f"{name} is empty.")
    missing = [key for key in keys if key not in dataset[0]]
    if missing:
        raise EmoNetError(f"{name} lacks {', '.join(missing)}. {encode}; then pass corpus['train'].")
    if name == "train_dataset" and hasattr(dataset, "labels") and not (dataset.labels() != NO_LABEL).any():
        raise EmoNetError(f"{name}: no turn has a label to learn from; give the labels under 'emotion'.")
