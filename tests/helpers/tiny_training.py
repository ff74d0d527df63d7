"""Train on 16 dialogues without dropout, so that every step can be compared."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny import DIALOGUE, OTHER, build

from emonet.fine_tuning.encoding import EmoNetCollator, EncodedSplit
from emonet.train_trainer import EmoNetTrainer, EmoNetTrainingArguments
from emonet.training.heads import restart_heads
from emonet.training.logit_adjustment import assign_folds

WEIGHTS = [1.0, 3.0, 0.5, 2.0, 4.0, 1.5, 2.5]
FROZEN = {"freeze_backbone": True, "speaker_dropout": 0.0, "context_dropout": 0.0, "head_members": 3}


def encoded(
    tokenizer: Any, preset: str = "context", **changes: Any
) -> tuple[Any, Any, EncodedSplit, EmoNetCollator]:
    """Encode 16 dialogues of different lengths and labels.

    Returns:
        A model without dropout, its processor, the encoded dialogues, and a collator over
        their memory.
    """
    changes = {"class_weights": WEIGHTS, "head_dropout": 0.0, **changes}
    model, processor = build(tokenizer, preset, **changes)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    rows, texts = [], []
    for dialogue_index in range(16):
        start = dialogue_index % 5
        turns = (DIALOGUE + OTHER)[start : start + 1 + dialogue_index % 4]
        turns = [{**turn, "utterance_index": len(texts) + index} for index, turn in enumerate(turns)]
        for index, turn in enumerate(turns):
            turn["speaker_history_index"] = [
                len(texts) + k for k in range(index) if turns[k]["speaker"] == turn["speaker"]
            ]
        texts += [turn["text"] for turn in turns]
        rows.append({"dialogue_id": str(dialogue_index), "turns": turns})
    split = EncodedSplit(rows, processor)
    return model, processor, split, EmoNetCollator(processor, processor.encode_memory(texts))


def frozen(tokenizer: Any, preset: str = "emonet", folds: bool = True, **changes: Any) -> Any:
    """`encoded` with three heads, and random vectors in place of a frozen backbone's."""
    torch.manual_seed(0)
    parts = encoded(tokenizer, preset, **{**FROZEN, **changes})
    model, _, split, collator = parts
    random, size = np.random.default_rng(0), model.config.hidden_size
    for window in split.examples:
        window["turn_embeds"] = random.normal(size=(len(window["speaker_ids"]), size)).astype(np.float32)
    if model.emonet.memory is not None:
        collator.memory = random.normal(size=(len(collator.memory), size)).astype(np.float32)
    if folds and model.config.head_members > 1:
        assign_folds(split, model.config.head_members)
    restart_heads(model, 1)
    return parts


def trainer_for(parts: Any, folder: Path, **arguments: Any) -> EmoNetTrainer:
    model, processor, split, collator = parts
    defaults = {
        "save_strategy": "no",
        "eval_strategy": "no",
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
    }
    args = EmoNetTrainingArguments(
        output_dir=str(folder), use_cpu=True, disable_tqdm=True, **{**defaults, **arguments}
    )
    has_eval = str(args.eval_strategy) != "no" and args.eval_strategy.value != "no"
    return EmoNetTrainer(
        model=model,
        args=args,
        train_dataset=split,
        eval_dataset=split if has_eval else None,
        data_collator=collator,
        processing_class=processor,
    )


def first_step(
    tokenizer: Any, folder: Path, batch: int, steps: int, preset: str = "dialogue-memory", **arguments: Any
) -> tuple[float, float, dict[str, float]]:
    """Take one optimizer step on all 16 dialogues with a learning rate of zero.

    Returns:
        The gradient norm, the loss, and the figures of the evaluation.
    """
    trainer = trainer_for(
        encoded(tokenizer, preset),
        folder,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=steps,
        max_grad_norm=1e9,
        learning_rate=0.0,
        logging_strategy="steps",
        logging_steps=1,
        eval_strategy="epoch",
        per_device_eval_batch_size=3,  # does not divide 16, so repeated rows would show
        **arguments,
    )
    trainer.train()
    entry = next(entry for entry in trainer.state.log_history if "grad_norm" in entry)
    evaluation = next(entry for entry in trainer.state.log_history if "eval_weighted_f1" in entry)
    figures = {name: float(evaluation[f"eval_{name}"]) for name in ("weighted_f1", "macro_f1", "accuracy")}
    return float(entry["grad_norm"]), float(entry["loss"]), figures
