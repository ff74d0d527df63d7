"""Train the heads of a frozen backbone on cached vectors, without the Trainer's steps.

The backbone's vectors never change, so that a step needs neither tokens nor the backbone:
it reads rows of a matrix, and computes all members of the classifier in one batched
product. Loss, optimizer, schedule, batches, clipping, evaluation and callbacks are the
Trainer's.

Shapes: N turns of a batch, M members, H the width of a turn vector, C emotions.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from transformers import EvalPrediction, TrainerState, set_seed
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import speed_metrics

from ..constants import NO_LABEL
from ..fine_tuning.encoding import EncodedSplit
from ..inference.predict import batches_by_length
from ..modeling_emonet import EmoNetForSequenceClassification
from .head_stack import HeadStack, Masks
from .search import SearchingTrainer
from .turn_reader import TurnBatch, TurnReader

_TINY = torch.finfo(torch.float32).tiny


def needs_trainer(trainer: SearchingTrainer, resume: bool = False) -> str | None:
    """Say why a training needs the Trainer's own steps; None if [`train_heads`] does it.

    Args:
        trainer: A prepared [`EmoNetTrainer`].
        resume: Whether the training goes on from a checkpoint.
    """
    model, args = trainer.model, trainer.args
    if not isinstance(model, EmoNetForSequenceClassification):
        return "no packed model"
    if any(parameter.requires_grad for parameter in model.emonet.encoder.parameters()):
        return "the backbone is trained"
    splits = trainer.train_dataset, trainer.eval_dataset
    if not all(isinstance(split, EncodedSplit) and "turn_embeds" in split[0] for split in splits):
        return "no cached vectors"
    has_memory = model.config.speaker_memory != "none"
    collator: Any = trainer.data_collator
    if has_memory and not isinstance(getattr(collator, "memory", None), np.ndarray):
        return "the memory's encoder is trained"
    strategies = [
        str(getattr(value, "value", value)) for value in (args.eval_strategy, args.logging_strategy)
    ]
    if resume or not getattr(args, "saves_nothing", False) or strategies != ["epoch", "epoch"]:
        return "checkpoints, or evaluations within an epoch"
    if args.max_steps > 0 or args.gradient_accumulation_steps > 1 or args.eval_on_start:
        return "another order of steps"
    if args.world_size > 1 or args.n_gpu > 1 or args.bf16 or args.fp16 or args.torch_compile:
        return "several devices, mixed precision or a compiled model"
    if trainer.optimizer is not None or trainer.model_init is not None or trainer.compute_metrics is None:
        return "parts of one's own"
    return None


def restart_heads(model: EmoNetForSequenceClassification, seed: int) -> None:
    """Initialise everything but the backbone anew, as a function of the seed alone."""
    set_seed(seed)
    base = model.emonet
    for module in (base.speaker_embedding, base.context, base.memory, base.label_evidence, model.classifier):
        if module is not None:
            module.apply(model._init_weights)


def train_heads(trainer: SearchingTrainer, dtype: str = "float32") -> None:
    """Train as `trainer.train()` does; afterwards `trainer` has the same state and log.

    Every random number is a function of the seed, so that a result does not depend on
    what the process trained before.

    Args:
        trainer: An [`EmoNetTrainer`] that [`needs_trainer`] says nothing against.
        dtype: One of `DTYPES`, resolved. In bfloat16, the classifier's products in
            training are computed in it; all else is float32.
    """
    args = trainer.args
    set_seed(args.seed)
    batches: Any = trainer.get_train_dataloader().batch_sampler
    steps, started = len(batches), time.time()
    last_step = math.ceil(args.num_train_epochs * steps)
    _start(trainer, last_step)
    training = _Training(trainer, dtype)
    total = 0.0
    try:
        _call(trainer, "on_train_begin")
        for epoch in range(math.ceil(args.num_train_epochs)):
            _call(trainer, "on_epoch_begin")
            loss, taken = training.epoch(batches, last_step - trainer.state.global_step)
            trainer.state.global_step += taken
            trainer.state.epoch = epoch + taken / steps
            total += loss
            _call(trainer, "on_step_end")
            _call(trainer, "on_epoch_end")
            trainer.log({"loss": loss / taken, **training.figures})
            training.evaluate()
            if trainer.control.should_training_stop or trainer.state.global_step >= last_step:
                break
        taken = trainer.state.global_step
        figures = _speed("train", started, taken * args.train_batch_size, taken)
        trainer.log({**figures, "total_flos": 0.0, "train_loss": total / taken})
        _call(trainer, "on_train_end")
    finally:
        training.stack.release()
    trainer.trained_by = "heads"
    trainer.finish()


class _Training:
    """The steps and the evaluation of a training.

    Attributes:
        figures: What the log tells of the last step beside its loss.
    """

    def __init__(self, trainer: SearchingTrainer, dtype: str):
        model: Any = trainer.model
        train, validation, collator = (
            cast(Any, part) for part in (trainer.train_dataset, trainer.eval_dataset, trainer.data_collator)
        )
        assert trainer.optimizer is not None and trainer.lr_scheduler is not None
        self.trainer, self.optimizer, self.scheduler = trainer, trainer.optimizer, trainer.lr_scheduler
        self.model: EmoNetForSequenceClassification = model
        products = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        self.train_reader = TurnReader(model, train, collator, products)
        self.eval_reader = TurnReader(model, validation, collator)
        self.stack = HeadStack(model.classifier, products)
        self.masks = Masks(trainer.args.seed)
        groups = self.optimizer.param_groups
        for group in groups:
            group["params"] = self.stack.merged(group["params"])
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        # Gradients of the classifier are written, not added; see `HeadStack`.
        self.others = [parameter for parameter in model.emonet.parameters() if parameter.requires_grad]
        weights = model.config.class_weights or [1.0] * len(model.config.label_names)
        self.weights = torch.tensor(weights, device=model.device)
        self.targets = _targets(self.weights, trainer.args.label_smoothing_factor)
        # The weight of each window's labels: the divisor of a step is their sum.
        labels = [np.asarray(example["labels"]) for example in self.train_reader.examples]
        self.totals = np.array([np.asarray(weights)[row[row != NO_LABEL]].sum() for row in labels])
        self.figures: dict[str, float] = {}

    def epoch(self, batches: Sequence[Sequence[int]], most: int) -> tuple[float, int]:
        """Take a step for each batch of windows, `most` at the most.

        Returns:
            The sum of the steps' losses, and their number.
        """
        self.model.train()
        loss, taken = torch.zeros((), device=self.model.device), 0
        norm, rate = torch.zeros(()), 0.0
        for taken, windows in enumerate(batches, 1):
            weight = max(float(self.totals[windows].sum()), _TINY)
            loss += self._gradients(self.train_reader(windows), weight)
            norm = self._clip()
            self.optimizer.step()
            rate = float(self.scheduler.get_last_lr()[0])
            self.scheduler.step()
            if taken == most:
                break
        self.figures = {"grad_norm": float(norm), "learning_rate": rate}
        return float(loss), taken

    def evaluate(self) -> None:
        """Score the validation split, log its figures and tell the callbacks."""
        started, trainer, examples = time.time(), self.trainer, self.eval_reader.examples
        self.model.eval()  # type: ignore[no-untyped-call]
        logits, labels, losses = [], [], []
        with torch.inference_mode():
            for windows in batches_by_length(examples, 256, 2**16):
                batch = self.eval_reader(windows)
                members = self.stack(batch.states)
                losses.append(self._losses(members, batch)[0])
                logits.append(self.stack.averaged(members))
                labels.append(batch.labels)
        gold = torch.cat(labels)
        weight = self.weights[gold[gold != NO_LABEL]].sum().clamp(min=_TINY)
        scored = EvalPrediction(
            predictions=torch.cat(logits)[None].float().cpu().numpy(), label_ids=gold[None].cpu().numpy()
        )
        assert trainer.compute_metrics is not None
        found: Mapping[str, float] = trainer.compute_metrics(scored)
        metrics = {f"eval_{name}": value for name, value in found.items()}
        metrics["eval_loss"] = float(sum(losses) / weight)
        size = trainer.args.per_device_eval_batch_size
        metrics |= _speed("eval", started, len(examples), math.ceil(len(examples) / size))
        trainer.log(metrics)
        handler = trainer.callback_handler
        trainer.control = handler.on_evaluate(trainer.args, trainer.state, trainer.control, metrics)

    def _gradients(self, batch: TurnBatch, weight: float) -> torch.Tensor:
        """Compute the gradients of a step; return its loss, divided by `weight`."""
        for parameter in self.others:
            parameter.grad = None
        logits = self.stack(batch.states, self.masks)
        if batch.evidence is not None:
            logits = logits + batch.evidence.detach()
        loss, gradient = self._losses(logits, batch)
        reaches = batch.states.requires_grad
        of_states = self.stack.backward(gradient / weight, reaches)
        loss = loss / weight
        ends: list[tuple[torch.Tensor, torch.Tensor | None]] = [(batch.states, of_states)] if reaches else []
        if batch.evidence is not None:
            ends.append((batch.evidence, gradient.sum(0) / weight))
        if batch.auxiliary is not None:
            auxiliary = batch.auxiliary / weight
            loss = loss + auxiliary.detach()
            ends.append((auxiliary, None))
        if ends:
            torch.autograd.backward([end for end, _ in ends], [gradient for _, gradient in ends])
        return loss

    @torch.no_grad()
    def _losses(self, logits: torch.Tensor, batch: TurnBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum the weighted cross entropies of logits (M, N, C); the mean over members.

        Returns:
            The sum, and its gradient (M, N, C).
        """
        members = len(logits)
        labels = batch.labels.where(batch.labels != NO_LABEL, -1).expand(members, -1)
        if batch.folds is not None:  # all members but one learn from each turn
            own = batch.folds == torch.arange(members, device=labels.device)[:, None]
            labels, members = labels.masked_fill(own, -1), members - 1
        targets = self.targets[labels]
        scores = logits.float().log_softmax(-1)
        loss = -torch.sum(targets * scores) / members
        gradient = scores.exp_().mul_(targets.sum(-1, keepdim=True)).sub_(targets).div_(members)
        return loss, gradient

    def _clip(self) -> torch.Tensor:
        """Clip the gradients to the norm of the arguments; return the norm before."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm: torch.Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        most = self.trainer.args.max_grad_norm
        if most > 0 and norm > most:
            torch._foreach_mul_(gradients, most / (float(norm) + 1e-6))
        return norm


def _targets(weights: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Weighted, smoothed targets of all labels, and zeros in row -1: (C + 1, C)."""
    targets = (1 - smoothing) * torch.diag(weights) + smoothing / len(weights) * weights
    return F.pad(targets, (0, 0, 0, 1))


def _start(trainer: SearchingTrainer, last_step: int) -> None:
    """Set up state, optimizer and scheduler as the Trainer does."""
    args = trainer.args
    callbacks = [*trainer.callback_handler.callbacks, trainer.control]
    stateful: list[Any] = [callback for callback in callbacks if isinstance(callback, ExportableState)]
    trainer.state = TrainerState(stateful_callbacks=stateful)
    state = trainer.state
    state.max_steps, state.num_train_epochs = last_step, math.ceil(args.num_train_epochs)
    state.train_batch_size, state.epoch = args.train_batch_size, 0
    state.is_local_process_zero = trainer.is_local_process_zero()
    state.is_world_process_zero = trainer.is_world_process_zero()
    trainer.create_optimizer_and_scheduler(last_step)
    handler = trainer.callback_handler
    handler.optimizer, handler.lr_scheduler = trainer.optimizer, trainer.lr_scheduler


def _speed(split: str, started: float, samples: int, steps: int) -> dict[str, float]:
    figures: dict[str, float] = speed_metrics(split, started, samples, steps)  # type: ignore[no-untyped-call]
    return figures


def _call(trainer: SearchingTrainer, event: str) -> None:
    trainer.control = getattr(trainer.callback_handler, event)(trainer.args, trainer.state, trainer.control)
